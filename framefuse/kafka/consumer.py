"""A member of a consumer group that never skips a record without a word.

Differences from a bare consumer: it starts from committed offsets that it has really seen (a time-out is
asked again, never taken for "none"); a partition without one starts at the head of the log and says so on the
broker at once; when retention has removed records before they were read, it counts them instead of jumping.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import confluent_kafka as ck

from framefuse.errors import BrokerUnavailable, Retry
from framefuse.kafka.connection import REQUEST_TIMEOUT_S, client_config
from framefuse.kafka.messages import Message, RawError, RawMessage, message_of
from framefuse.kafka.notes import made_anew, metadata_for, read_metadata
from framefuse.kafka.refusals import denied, lacks_right
from framefuse.settings import KafkaSettings
from framefuse.types import Member, Partition

log = logging.getLogger("framefuse.kafka")
_COMMITTED_PATIENCE_S = 30.0
MAX_POLL_INTERVAL_S = 300.0


@dataclass(frozen=True, slots=True)
class Assignment:
    """Where one assigned partition starts: its committed offset and note, and the end of its log now."""

    offset: int
    note: str
    end: int


@dataclass(frozen=True, slots=True)
class Overtaken:
    """Retention removed the records [first, next) before they were read."""

    partition: Partition
    first: int
    next: int


class GroupConsumer:
    """One member of a group, for use by one thread; `poll` serves rebalances in it."""

    def __init__(
        self,
        settings: KafkaSettings,
        group: str,
        topics: Sequence[str],
        *,
        client_id: str,
        on_assigned: Callable[[Mapping[Partition, Assignment]], None],
        on_revoked: Callable[[frozenset[Partition]], None],
        on_overtaken: Callable[[Overtaken], None],
        series: str | None = None,
        prefetch_records: int = 10,
    ) -> None:
        self.group, self._settings, self._client_id = group, settings, client_id
        self._on_assigned, self._on_revoked, self._on_overtaken = on_assigned, on_revoked, on_overtaken
        self._next: dict[Partition, int] = {}
        self._paused: set[Partition] = set()
        self._series = series
        self._generation = 0
        self._lost = False
        self._consumer = ck.Consumer(
            client_config(settings, client_id)
            | {
                "group.id": group,
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "error",
                "partition.assignment.strategy": "range",
                "session.timeout.ms": 6000,
                "heartbeat.interval.ms": 1500,
                "max.poll.interval.ms": int(MAX_POLL_INTERVAL_S * 1000),
                # Two batches ahead, never thousands: a rebalance throws the fetched away.
                "queued.min.messages": prefetch_records,
                "queued.max.messages.kbytes": 8192,
                # The default 1,000 makes the two limits above a throttle: 18 frames/s against 195.
                "fetch.queue.backoff.ms": 5,
            }
        )
        self._consumer.subscribe(
            list(topics), on_assign=self._assign, on_revoke=self._revoke, on_lost=self._lose
        )

    def poll(self, timeout_s: float, limit: int) -> Sequence[Message]:
        """Up to `limit` records in order of each partition, waiting at most `timeout_s` for the first.

        Raises:
            Retry: the membership is lost; make a new consumer.
            Stop: the broker refuses us, or the log is not the one that was committed.
        """
        messages: list[Message] = []
        generation = self._generation
        raw = self._consumer.poll(timeout_s)
        while raw is not None:
            if generation != self._generation:
                # A rebalance came between: what was collected belongs to the life before, and is read again.
                generation, messages = self._generation, []
            if raw.error() is not None:
                self._serve_error(raw)
            elif self._expected(raw):
                messages.append(message_of(raw))
            if len(messages) >= limit:
                break
            raw = self._consumer.poll(0)
        if self._lost:
            raise Retry(f"{self.group}: the group has given our partitions away")
        return messages if generation == self._generation else []

    def group_metadata(self) -> Member:
        """Who we are in the group now; take it with the poll that brought the records."""
        return Member(cast(object, self._consumer.consumer_group_metadata()), self._series)

    def positions(self) -> dict[Partition, int]:
        """Next offset to read per assigned partition; moves past transaction markers too."""
        parts = self._consumer.position([_client_partition(part) for part in self._next])
        return {
            Partition(part.topic, part.partition): max(
                part.offset, self._next[Partition(part.topic, part.partition)]
            )
            for part in parts
        }

    def lag(self, committed: Mapping[Partition, int]) -> int:
        """Records between the committed offsets and the ends of the log that fetching has shown."""
        total = 0
        for part, offset in committed.items():
            _, high = self._consumer.get_watermark_offsets(_client_partition(part), cached=True)
            total += max(0, high - offset)
        return total

    def pause(self, parts: Iterable[Partition]) -> None:
        """Stop fetching from these; what was fetched from them is fetched again later."""
        wanted = [part for part in parts if part in self._next and part not in self._paused]
        if wanted:
            self._consumer.pause([_client_partition(part) for part in wanted])
            self._paused.update(wanted)

    def resume(self, parts: Iterable[Partition]) -> None:
        """Fetch from these again."""
        wanted = [part for part in parts if part in self._paused]
        if wanted:
            self._consumer.resume([_client_partition(part) for part in wanted])
            self._paused.difference_update(wanted)

    def seek(self, offsets: Mapping[Partition, int]) -> None:
        """Read on from these offsets."""
        self._next.update(offsets)
        self._reassign()

    def commit(self, offsets: Mapping[Partition, int], notes: Mapping[Partition, str] | None = None) -> None:
        """Commit offsets (with their notes) to the group, synchronously.

        Raises:
            Retry: the group has moved on, or the broker did not answer.
        """
        notes = notes or {}
        parts = [
            ck.TopicPartition(
                part.topic, part.number, at, metadata=metadata_for(notes.get(part, ""), self._series)
            )
            for part, at in offsets.items()
            if at >= 0
        ]
        if not parts:
            return
        try:
            for part in self._consumer.commit(offsets=parts, asynchronous=False) or []:
                if part.error is not None:
                    self._refuse(part.error, part.topic)
                    raise Retry(f"commit of {part.topic}-{part.partition}: {part.error.str()}")
        except ck.KafkaException as error:
            self._refuse(error.args[0])
            raise Retry(f"commit: {error.args[0].str()}") from None

    def close(self) -> None:
        """Leave the group, so that others take over at once."""
        self._consumer.close()

    # ── rebalances: called by the client from within `poll` ──

    def _assign(self, _consumer: object, parts: list[ck.TopicPartition]) -> None:
        started = {Partition(part.topic, part.partition): part for part in self._committed(parts)}
        starts = {}
        for part, committed in started.items():
            low, high = self._bounds(part)
            offset = committed.offset
            series, note = read_metadata(committed.metadata)
            if offset < 0:
                offset = low
                self.commit({part: offset})
            elif None not in (series, self._series) and series != self._series:
                raise made_anew("frames", f"{self.group} has worked on topic {series}")
            starts[part] = Assignment(offset, note, high)
        self._generation += 1
        self._next = {part: start.offset for part, start in starts.items()}
        self._reassign()
        log.info("%s: assigned %s", self._client_id, _names(starts))
        self._on_assigned(starts)

    def _revoke(self, _consumer: object, parts: list[ck.TopicPartition]) -> None:
        gone = frozenset(Partition(part.topic, part.partition) for part in parts)
        log.info("%s: revoked %s", self._client_id, _names(gone))
        self._generation += 1
        self._on_revoked(gone)
        # The client would remember the pause, and keep it when a partition comes back to us.
        self.resume(list(self._paused))
        self._next.clear()

    def _lose(self, consumer: object, parts: list[ck.TopicPartition]) -> None:
        """Revoked without being asked: the group, or its broker, was out of reach for too long."""
        self._revoke(consumer, parts)
        # What else was connected to that broker may hang: begin anew, producer and all.
        self._lost = True

    def _committed(self, parts: list[ck.TopicPartition]) -> list[ck.TopicPartition]:
        """Committed offsets; asks again while a dead worker's open transaction makes the broker hesitate."""
        give_up_s = time.monotonic() + _COMMITTED_PATIENCE_S
        while True:
            try:
                found = self._consumer.committed(parts, timeout=5.0)
                errors = [part.error for part in found if part.error is not None]
                if not errors:
                    return found
                reason = errors[0].str()
            except ck.KafkaException as error:
                reason = error.args[0].str()
            if time.monotonic() > give_up_s:
                raise Retry(
                    f"{self.group}: committed offsets not known after 30 s: {reason}; if this goes on, a "
                    "broker has left a transaction open: 'kafka-transactions.sh … find-hanging' names it"
                )
            time.sleep(0.2)

    def _bounds(self, part: Partition) -> tuple[int, int]:
        try:
            return self._consumer.get_watermark_offsets(_client_partition(part), timeout=REQUEST_TIMEOUT_S)
        except ck.KafkaException as error:
            raise Retry(f"bounds of {part.topic}-{part.number}: {error.args[0].str()}") from None

    def _reassign(self) -> None:
        """Give the client explicit positions: after an error it has none of its own, and refuses to seek."""
        self._consumer.assign(
            [ck.TopicPartition(part.topic, part.number, offset) for part, offset in self._next.items()]
        )
        paused, self._paused = self._paused & self._next.keys(), set()
        self.pause(paused)

    def _expected(self, raw: RawMessage) -> bool:
        """Whether this record is the next of an assigned partition, and not one fetched before a seek."""
        part = Partition(raw.topic(), raw.partition())
        if raw.offset() < self._next.get(part, raw.offset() + 1):
            return False
        self._next[part] = raw.offset() + 1
        return True

    def _serve_error(self, raw: RawMessage) -> None:
        error = raw.error()
        self._refuse(error, raw.topic())
        if error.code() == ck.KafkaError._AUTO_OFFSET_RESET:
            self._serve_overtaken(Partition(raw.topic(), raw.partition()))
        elif error.fatal():
            raise Retry(f"{self.group}: {error.str()}")
        elif error.code() == ck.KafkaError._ALL_BROKERS_DOWN:
            raise BrokerUnavailable(error.str())
        else:
            log.warning("%s: %s", self.group, error.str())

    def _refuse(self, error: RawError, topic: str | None = None) -> None:
        """Stop on what no waiting mends."""
        if lacks_right(error):
            raise denied(self._settings, error, "read", topic=topic, group=self.group)

    def _serve_overtaken(self, part: Partition) -> None:
        if part not in self._next:
            return
        low, high = self._bounds(part)
        first = self._next[part]
        if first > high:
            raise made_anew(
                part.topic, f"{self.group} stands at {first} of partition {part.number}, which ends at {high}"
            )
        if first < low:
            log.warning(
                "%s: retention removed %d records of %s-%d unread",
                self.group,
                low - first,
                part.topic,
                part.number,
            )
            self._next[part] = low
            self._on_overtaken(Overtaken(part, first, low))
        self._reassign()


def _client_partition(part: Partition) -> ck.TopicPartition:
    return ck.TopicPartition(part.topic, part.number)


def _names(parts: Iterable[Partition]) -> str:
    return ", ".join(f"{part.topic}-{part.number}" for part in sorted(parts)) or "nothing"
