"""Puts records that will never work into the topic of dead letters, for sinks that are no topic.

The topic sink writes letters and results in one transaction. Before any other sink the letters go first, so
that none is passed over by a position that the sink commits. At least once: a letter may come twice after a
crash, with the same original topic, partition and offset.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from framefuse.kafka import Producer
from framefuse.settings import KafkaSettings
from framefuse.types import Output, Partition, Positions, Sink
from schemas.codec import encode
from schemas.topics import DEAD_LETTERS

Post = Callable[[Sequence[Output[Any]]], None]
"""Makes the letters of some outputs durable before it returns; raises Retry, or Stop, when it cannot."""

_ACKNOWLEDGED_WITHIN_S = 30.0


class DeadLetterBox:
    """A producer of dead letters; connects when there is a first one."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._topic = DEAD_LETTERS.name(kafka.prefix)
        self._producer: Producer | None = None

    def post(self, outputs: Sequence[Output[Any]]) -> None:
        """Write the letters of `outputs` and wait until the broker has them.

        Raises:
            AccessDenied: we may not write them.
            Retry: some were not acknowledged.
        """
        self._producer = self._producer or Producer(self._kafka, client_id="framefuse-dead-letters")
        letters = ((output.key, encode(output.letter)) for output in outputs)
        self._producer.send_all(self._topic, letters, what="dead letters", within_s=_ACKNOWLEDGED_WITHIN_S)


class LettersFirst:
    """A sink behind the dead letters of its batches."""

    def __init__(self, sink: Sink[Any], post: Post) -> None:
        self._sink, self._post = sink, post
        self._posted_to: dict[int, int] = {}

    def write(self, batch: Sequence[Output[Any]], positions: Positions) -> Mapping[Partition, int] | None:
        """Post the letters of a batch, each once however often the batch comes, then write it.

        Raises:
            AccessDenied: we may not write letters.
            Retry: the broker did not take one.
            SinkBusy, Retry, Stop: as the sink says.
        """
        letters = [output for output in batch if output.letter and not self._is_posted(output)]
        if letters:
            self._post(letters)
        for output in batch:
            self._posted_to[output.partition] = max(
                self._posted_to.get(output.partition, 0), output.offset + 1
            )
        return self._sink.write(batch, positions)

    def close(self) -> None:
        """Close the sink."""
        self._sink.close()

    def _is_posted(self, output: Output[Any]) -> bool:
        return output.offset < self._posted_to.get(output.partition, 0)
