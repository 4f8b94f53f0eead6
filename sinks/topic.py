"""The topic sink: a batch's records, its dead letters and its input offsets in one transaction."""

from collections.abc import Mapping, Sequence

from framefuse.errors import Stop
from framefuse.kafka import Outgoing, TransactionalProducer
from framefuse.runtime.result_size import SizeLimit
from framefuse.settings import KafkaSettings, StageSettings
from framefuse.types import Output, Partition, Positions, SinkContext
from schemas.codec import encode
from schemas.records import Derived
from schemas.topics import DEAD_LETTERS, Topic


class TopicSink:
    """Writes each record to the partition number its input had, so that order is inherited."""

    def __init__(self, kafka: KafkaSettings, to: Topic[Derived], writer_id: str) -> None:
        """Register `writer_id` as transactional id, which fences an older writer of the same id."""
        self._topic = to.name(kafka.prefix)
        self._limit = SizeLimit.of(to, kafka.prefix)
        self._dead_letters = DEAD_LETTERS.name(kafka.prefix)
        self._producer = TransactionalProducer(kafka, writer_id)

    def write(self, batch: Sequence[Output[Derived]], positions: Positions) -> Mapping[Partition, int] | None:
        """One transaction.

        Raises:
            TransactionFailed, Fenced: nothing of it is visible; rejoin and read again.
            Stop: a result is larger than its topic takes, however often it is tried.
        """
        records = [record for output in batch for record in self._records(output)]
        self._producer.write(records, positions.offsets, positions.group)
        return None

    def close(self) -> None:
        """Disconnect."""
        self._producer.close()

    def _records(self, output: Output[Derived]) -> list[Outgoing]:
        records = []
        if output.value is not None:
            key = output.value.stream_id.encode()
            value = self._limit.fitted(encode(output.value), partition=output.partition, offset=output.offset)
            records.append(Outgoing(self._topic, output.partition, key, value))
        if output.letter is not None:
            records.append(Outgoing(self._dead_letters, None, output.key, encode(output.letter)))
        return records


def open_topic(settings: StageSettings, context: SinkContext) -> TopicSink:
    """Entry point `topic` of `framefuse.sinks`."""
    del settings
    if context.to is None or context.kafka is None:
        raise Stop("the topic sink needs a stage that names a topic")
    return TopicSink(context.kafka, context.to, context.writer_id)
