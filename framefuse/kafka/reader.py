"""Reads topics without a group: for subscribers, audits and tools. Always read committed."""

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from uuid import uuid4

import confluent_kafka as ck

from framefuse.errors import Retry, Stop
from framefuse.kafka.connection import REQUEST_TIMEOUT_S, client_config
from framefuse.kafka.messages import Message, RawError, RawMessage, message_of
from framefuse.kafka.refusals import denied, lacks_right
from framefuse.settings import KafkaSettings, flags_of
from framefuse.types import Partition


class Reader:
    """Reads the given partitions from the given offsets; keeps no position on the broker."""

    def __init__(
        self,
        settings: KafkaSettings,
        *,
        prefetch: int = 1000,
        fetch_bytes: int = 1 << 20,
        client_id: str = "framefuse-reader",
    ) -> None:
        """Connect lazily.

        Args:
            settings: where the broker is.
            prefetch: records kept ready; small where records are large.
            fetch_bytes: of each partition at a time; a record that is larger comes all the same.
            client_id: shown in the broker's logs and metrics.
        """
        self._settings = settings
        self._consumer = ck.Consumer(
            client_config(settings, client_id)
            | {
                "group.id": f"{client_id}-{uuid4()}",  # the client insists; no group is ever joined
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "queued.min.messages": prefetch,
                "queued.max.messages.kbytes": 16384,
                "fetch.message.max.bytes": fetch_bytes,
                "fetch.queue.backoff.ms": 5,
                "enable.partition.eof": False,
            }
        )

    def assign(self, offsets: Mapping[Partition, int]) -> None:
        """Read these partitions from these offsets on."""
        self._consumer.assign(
            [ck.TopicPartition(part.topic, part.number, at) for part, at in offsets.items()]
        )

    def bounds(self, topic: str) -> dict[Partition, tuple[int, int]]:
        """First and next offset of each partition.

        Raises:
            Retry: the broker did not answer.
            Stop: there is no such topic, or we may not read it.
        """
        try:
            found = self._consumer.list_topics(topic, timeout=REQUEST_TIMEOUT_S).topics[topic]
            if found.error is not None:
                self._refuse(found.error, topic)
                raise Stop(f"no topic {topic}: run 'framefuse topics create{flags_of(self._settings)}'")
            bounds = {}
            for number in found.partitions:
                low, high = self._consumer.get_watermark_offsets(
                    ck.TopicPartition(topic, number), timeout=REQUEST_TIMEOUT_S, cached=False
                )
                bounds[Partition(topic, number)] = (low, high)
            return bounds
        except ck.KafkaException as error:
            self._refuse(error.args[0], topic)
            raise Retry(f"reading the bounds of {topic}: {error.args[0].str()}{_remedy(error)}") from None

    def offsets_at(self, topic: str, moment: datetime) -> dict[Partition, int]:
        """First offset of each partition whose record is of `moment` or later; else the end of the log.

        Raises:
            Retry: the broker did not answer.
            Stop: there is no such topic.
        """
        ends = {part: end for part, (_, end) in self.bounds(topic).items()}
        at_ms = int(moment.timestamp() * 1000)
        try:
            found = self._consumer.offsets_for_times(
                [ck.TopicPartition(topic, part.number, at_ms) for part in ends], timeout=REQUEST_TIMEOUT_S
            )
        except ck.KafkaException as error:
            raise Retry(f"looking for {moment} in {topic}: {error.args[0].str()}{_remedy(error)}") from None
        return ends | {Partition(topic, part.partition): part.offset for part in found if part.offset >= 0}

    def follow(self, topic: str) -> None:
        """Also read the partitions that the topic has gained since, from their first record.

        A broker that does not answer within a second is asked again another time.
        """
        try:
            numbers = self._consumer.list_topics(topic, timeout=1.0).topics[topic].partitions
        except ck.KafkaException:
            return
        there = {part.partition for part in self._consumer.assignment() if part.topic == topic}
        self._consumer.incremental_assign(
            [ck.TopicPartition(topic, new, ck.OFFSET_BEGINNING) for new in numbers if new not in there]
        )

    def poll(self, timeout_s: float, limit: int = 500) -> Sequence[Message]:
        """Up to `limit` records, waiting at most `timeout_s` for the first.

        Raises:
            AccessDenied: we may not read them.
        """
        messages = []
        for raw in _available(self._consumer, timeout_s, limit):
            if raw.error() is None:
                messages.append(message_of(raw))
            else:
                self._refuse(raw.error(), raw.topic())
        return messages

    def everything(self, topic: str, patience_s: float = 30.0) -> Iterator[Message]:
        """All records that a topic holds now, partition by partition in order.

        Raises:
            Retry: nothing came for `patience_s`.
        """
        yield from self.within(self.bounds(topic), patience_s)

    def within(
        self, bounds: Mapping[Partition, tuple[int, int]], patience_s: float = 30.0
    ) -> Iterator[Message]:
        """The records from the first of these offsets up to the second, partition by partition in order.

        Raises:
            Retry: nothing came for `patience_s`.
        """
        ends = {part: end for part, (first, end) in bounds.items() if end > first}
        self.assign({part: bounds[part][0] for part in ends})
        heard_s = time.monotonic()
        while any(self.positions().get(part, 0) < end for part, end in ends.items()):
            messages = self.poll(0.2)
            for message in messages:
                if message.offset < ends[Partition(message.topic, message.partition)]:
                    yield message
            if messages:
                heard_s = time.monotonic()
            elif time.monotonic() - heard_s > patience_s:
                raise Retry(f"{', '.join({part.topic for part in ends})} gave nothing for {patience_s:.0f} s")

    def positions(self) -> dict[Partition, int]:
        """Next offset to read per partition; counts transaction markers, so it reaches the end of the log."""
        parts = self._consumer.position(self._consumer.assignment())
        return {Partition(part.topic, part.partition): part.offset for part in parts if part.offset >= 0}

    def close(self) -> None:
        """Disconnect."""
        self._consumer.close()

    def _refuse(self, error: RawError, topic: str | None) -> None:
        """Stop on what no waiting mends; that we may not join the group we never join is no such thing."""
        if lacks_right(error) and error.code() != ck.KafkaError.GROUP_AUTHORIZATION_FAILED:
            raise denied(self._settings, error, "read", topic=topic)

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _remedy(error: ck.KafkaException) -> str:
    """What to do, where the broker is away."""
    away = (ck.KafkaError._TRANSPORT, ck.KafkaError._TIMED_OUT, ck.KafkaError._ALL_BROKERS_DOWN)
    return ": is the broker up? 'framefuse broker status'" if error.args[0].code() in away else ""


def _available(consumer: ck.Consumer, timeout_s: float, limit: int) -> list[RawMessage]:
    """Wait for one message, then take what else is there.

    `consume(limit, timeout)` alone would wait the whole time-out unless `limit` messages come.
    """
    first = consumer.poll(timeout_s)
    if first is None:
        return []
    return [first, *(consumer.consume(limit - 1, 0) if limit > 1 else ())]
