"""Puts records that will never work into the topic of dead letters, for sinks that are no topic.

At least once: a letter may come twice after a crash, with the same original topic, partition and offset.
"""

from collections.abc import Callable, Sequence
from typing import Any

from framefuse.errors import Retry
from framefuse.kafka import Delivery, Producer
from framefuse.settings import KafkaSettings
from framefuse.types import Output
from schemas.codec import encode
from schemas.topics import DEAD_LETTERS

Post = Callable[[Sequence[Output[Any]]], None]
"""Makes the letters of some outputs durable before it returns; raises Retry when it cannot."""

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
            Retry: some were not acknowledged.
        """
        self._producer = self._producer or Producer(self._kafka, client_id="framefuse-dead-letters")
        delivered: list[Delivery] = []
        for output in outputs:
            value = encode(output.letter)
            self._producer.send(self._topic, value, key=output.key, on_delivery=delivered.append)
        self._producer.flush(_ACKNOWLEDGED_WITHIN_S)
        if failed := [delivery.error for delivery in delivered if delivery.error]:
            raise Retry(f"{len(failed)} dead letters were refused by the broker: {failed[0]}")
        if len(delivered) < len(outputs):
            raise Retry(f"{len(outputs) - len(delivered)} dead letters were not acknowledged by the broker")
