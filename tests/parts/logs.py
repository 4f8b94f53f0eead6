"""The topics of a pipeline on the real broker, filled by hand: what a test says is in them, is in them."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Self

import confluent_kafka as ck
from confluent_kafka.admin import AdminClient

from framefuse.kafka import Admin, Producer
from framefuse.kafka.schema_topic import SchemaTopic
from framefuse.settings import KafkaSettings
from schemas.codec import encode
from schemas.records import Frame, Fused
from schemas.topics import ALL, FRAMES, FUSED
from tests.parts.results import a_fused


class Logs:
    """`frames` and `fused` of a prefix of its own."""

    def __init__(self, bootstrap: str, prefix: str, *, partitions: int = 2) -> None:
        self.kafka = KafkaSettings(bootstrap=bootstrap, prefix=prefix)
        self.frames, self.fused = FRAMES.name(prefix), FUSED.name(prefix)
        Admin(self.kafka).create_topics(ALL, partitions=partitions)
        SchemaTopic(self.kafka)
        self._producer = ck.Producer(
            {
                "bootstrap.servers": bootstrap,
                "transactional.id": f"{prefix}-by-hand",
                "message.max.bytes": 9 << 20,
            }
        )
        self._producer.init_transactions(30)

    def publish(self, frames: Iterable[Frame], *, partition: int = 0) -> None:
        """Append frames."""
        producer = Producer(self.kafka)
        for frame in frames:
            producer.send(self.frames, encode(frame), key=frame.stream_id.encode(), partition=partition)
        assert producer.flush(20) == 0

    def fuse(self, outcomes: Iterable[int | Fused], *, partition: int = 0, commit: bool = True) -> None:
        """Append outcomes (a frame offset stands for a plain one) in one transaction."""
        records = [a_fused(one, partition=partition) if isinstance(one, int) else one for one in outcomes]
        self.append([encode(record) for record in records], partition=partition, commit=commit)

    def append(self, values: Iterable[bytes], *, partition: int = 0, commit: bool = True) -> None:
        """Append these bytes to `fused` in one transaction, committed or aborted."""
        self._producer.begin_transaction()
        for value in values:
            self._producer.produce(self.fused, value, partition=partition)
        assert self._producer.flush(20) == 0
        if commit:
            self._producer.commit_transaction(20)
        else:
            self._producer.abort_transaction(20)

    def retain(self, topic: str, first: int, *, partition: int = 0) -> None:
        """Remove all records before this offset, as retention does."""
        admin = AdminClient({"bootstrap.servers": self.kafka.bootstrap or ""})
        for done in admin.delete_records([ck.TopicPartition(topic, partition, first)]).values():
            done.result(20)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._producer.purge()
        self._producer.flush(5)


def of_stream(fused: Fused, stream: str) -> Fused:
    """The same outcome of another stream."""
    return replace(fused, stream_id=stream)
