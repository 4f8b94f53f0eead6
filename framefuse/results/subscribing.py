"""`ResultSubscriber`: the results of a pipeline, one after the other, each exactly as the join committed it.

    with ResultSubscriber(streams="gate") as results:
        for fused in results:
            print(fused.sequence, fused.outcome, [found.label for found in fused.objects])

The command line watches through the same class.
"""

import logging
import time
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from types import TracebackType
from typing import NamedTuple, Protocol, Self

from framefuse.errors import BadInput, Retry
from framefuse.kafka import Admin, Assignment, GroupConsumer, Message, Overtaken, Reader
from framefuse.kafka.connection import METADATA_REFRESH_S
from framefuse.kafka.schema_topic import SchemaTopic
from framefuse.results.frame_pictures import FramePictures
from framefuse.results.ordering import PATIENCE_S, InOrder
from framefuse.runtime.intake import Intake
from framefuse.settings import KafkaSettings, load
from framefuse.types import Image, Partition
from schemas.records import Fused
from schemas.topics import FUSED

log = logging.getLogger("framefuse.subscribing")
_PREFETCH_RECORDS = 50
_FETCH_LIMIT = 100
_WAKE_S = 0.5
_NOWHERE = Partition("", 0)
"""Of results in order: they belong to no group, so their place is never committed."""


class Start(StrEnum):
    """Where a subscriber without a group begins."""

    NOW = "now"
    BEGINNING = "beginning"


class _Entry(NamedTuple):
    """One record that was fetched; `fused` is None where it is of another stream or unreadable."""

    partition: Partition
    next: int
    fused: Fused | None


class ResultSubscriber:
    """The results of some streams, in order within each partition. Not safe for use by several threads.

    A stream is on one partition and so in order, unless its publisher spreads it (`--partition-by frame`):
    `in_order` puts such a one together again.

    Iterate it, or ask with `get`. Each result is given once to a subscriber without a group. The members of a
    group share the partitions, and a member that comes back goes on where the group was: what was given last
    and not followed by another `get` before a crash is given again.
    """

    def __init__(
        self,
        *,
        streams: str | Collection[str] | None = None,
        start: Start | datetime | None = None,
        group: str | None = None,
        in_order: bool = False,
        patience_s: float = PATIENCE_S,
        settings: KafkaSettings | None = None,
    ) -> None:
        """Connect.

        Args:
            streams: only these stream ids; all of them unless given.
            start: `Start.NOW` unless given, `Start.BEGINNING`, or the first result of that moment or later
                (timezone-aware).
            group: name of a consumer group, which starts at the beginning once and then goes on.
            in_order: give each stream by run and sequence; the rule on gaps is in `results/ordering.py`.
            patience_s: with `in_order`, how long a stream waits at a gap at most.
            settings: where the broker is; from the environment and `framefuse.yaml` when not given.

        Raises:
            BadInput: a group with a start or `in_order`, or a moment without timezone.
            BrokerUnavailable: no broker answers.
            Stop: there are no topics.
        """
        _check(start, group, in_order=in_order)
        self._streams = frozenset([streams] if isinstance(streams, str) else streams or ())
        kafka = self._settings = settings or load(KafkaSettings)
        Admin(kafka).partition_count(FUSED.name(kafka.prefix))
        schemas = SchemaTopic(kafka, announce=False)
        self._intake = Intake(Fused, schemas.book, schemas.refresh)
        self._log: _Log = (
            _GroupLog(kafka, group) if group is not None else _PlainLog(kafka, start or Start.NOW)
        )
        self._fetched: deque[_Entry] = deque()
        self._given: _Entry | None = None
        self._done: dict[Partition, int] = {}
        self._order = InOrder(patience_s=patience_s) if in_order else None
        self._looked_s, self._clock_s = time.monotonic(), 0.0
        self._pictures: FramePictures | None = None
        self._closed = False
        self.unreadable = 0
        """Records that could not be decoded; they are logged and left out."""

    def get(self, timeout_s: float | None = None) -> Fused | None:
        """The next result; None if there is none within `timeout_s`. The one before counts as processed.

        Raises:
            Stop: the broker refuses us, or the topic is gone.
        """
        self._count_given()
        give_up_s = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._closed:
            while self._fetched:
                entry = self._fetched.popleft()
                if entry.fused is not None:
                    self._given = entry
                    return entry.fused
                self._done[entry.partition] = entry.next
            wait_s = _WAKE_S if give_up_s is None else min(_WAKE_S, give_up_s - time.monotonic())
            self._fetch(max(0.0, wait_s))
            if not self._fetched and give_up_s is not None and time.monotonic() >= give_up_s:
                break
        return None

    def picture(self, fused: Fused) -> Image | None:
        """The picture of a result's frame, read from `frames`; quick when asked in the order of the log.

        Returns:
            H×W×3 uint8 BGR; None if retention has removed it (an hour by default) or it does not decode.

        Raises:
            Retry: the broker does not answer.
            Stop: the topic is gone.
        """
        if self._pictures is None:
            self._pictures = FramePictures(self._settings)
        return self._pictures.get(fused.frame)

    @property
    def late(self) -> int:
        """With `in_order`, the results that were given after a later one of their stream."""
        return self._order.late if self._order else 0

    def close(self) -> None:
        """Disconnect; the last given result counts as processed, what waits for its order is not given."""
        if not self._closed:
            self._closed = True
            self._count_given()
            self._log.close(self._done)
            if self._pictures is not None:
                self._pictures.close()

    def __iter__(self) -> Iterator[Fused]:
        while (fused := self.get()) is not None:
            yield fused

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._given = None
        self.close()

    def _count_given(self) -> None:
        if self._given is not None:
            self._done[self._given.partition] = self._given.next
            self._given = None

    def _fetch(self, timeout_s: float) -> None:
        messages = self._log.poll(timeout_s, self._done)
        self._done = {}
        entries = [self._entry(message) for message in messages]
        self._fetched.extend(entries if self._order is None else self._put_in_order(self._order, entries))

    def _put_in_order(self, order: InOrder, entries: Collection[_Entry]) -> Iterator[_Entry]:
        # Time counts only while somebody looks: what lies unread behind a slow reader is no gap.
        now_s = time.monotonic()
        self._clock_s += min(now_s - self._looked_s, _WAKE_S)
        self._looked_s = now_s
        for entry in entries:
            if entry.fused is not None:
                for fused in order.add(entry.fused, self._clock_s):
                    yield _Entry(_NOWHERE, 0, fused)
        for fused in order.advance(self._clock_s):
            yield _Entry(_NOWHERE, 0, fused)

    def _entry(self, message: Message) -> _Entry:
        place = Partition(message.topic, message.partition)
        taken = self._intake.take(message, received_s=0.0)
        if taken.record is None:
            self.unreadable += 1
            reason = taken.refusal.reason if taken.refusal else ""
            log.warning("%s-%d@%d left out: %s", place.topic, place.number, message.offset, reason)
            return _Entry(place, message.offset + 1, None)
        fused = taken.record.value
        wanted = not self._streams or fused.stream_id in self._streams
        return _Entry(place, message.offset + 1, fused if wanted else None)


def _check(start: Start | datetime | None, group: str | None, *, in_order: bool) -> None:
    if group is not None and start is not None:
        raise BadInput("a group goes on where it was: give either start or group")
    if group is not None and in_order:
        raise BadInput("the members of a group share the partitions: in_order needs a subscriber without")
    if not isinstance(start, Start | datetime | None):
        raise BadInput(f"start is {start!r}: expected Start.NOW, Start.BEGINNING or a datetime")
    if isinstance(start, datetime) and start.tzinfo is None:
        raise BadInput(f"start {start} has no timezone: datetime.now(UTC), or .astimezone()")


class _Log(Protocol):
    """Where records come from."""

    def poll(self, timeout_s: float, done: Mapping[Partition, int]) -> list[Message]:
        """Some records; everything before the offsets `done` has been processed."""

    def close(self, done: Mapping[Partition, int]) -> None:
        """Disconnect."""


class _PlainLog:
    """All partitions, and no trace on the broker."""

    def __init__(self, settings: KafkaSettings, start: Start | datetime) -> None:
        topic = FUSED.name(settings.prefix)
        self._reader = Reader(settings, prefetch=_PREFETCH_RECORDS, client_id="framefuse-subscriber")
        if isinstance(start, datetime):
            offsets = self._reader.offsets_at(topic, start)
        else:
            bounds = self._reader.bounds(topic)
            offsets = {part: at[start is Start.NOW] for part, at in bounds.items()}
        self._reader.assign(offsets)
        self._topic, self._followed_s = topic, time.monotonic()

    def poll(self, timeout_s: float, done: Mapping[Partition, int]) -> list[Message]:
        del done
        if time.monotonic() - self._followed_s > METADATA_REFRESH_S:
            self._reader.follow(self._topic)
            self._followed_s = time.monotonic()
        return list(self._reader.poll(timeout_s, _FETCH_LIMIT))

    def close(self, done: Mapping[Partition, int]) -> None:
        del done
        self._reader.close()


class _GroupLog:
    """This member's share of the partitions; a lost membership is made anew."""

    def __init__(self, settings: KafkaSettings, group: str) -> None:
        self._settings, self._group = settings, group
        self._consumer = self._join()

    def poll(self, timeout_s: float, done: Mapping[Partition, int]) -> list[Message]:
        try:
            # Before the poll: it may hand our partitions to another member.
            self._consumer.commit(done)
            return list(self._consumer.poll(timeout_s, _FETCH_LIMIT))
        except Retry as error:
            log.warning("%s: joins again: %s", self._group, error)
            self._consumer.close()
            time.sleep(min(error.retry_after_s, max(timeout_s, 0.1)))
            self._consumer = self._join()
            return []

    def close(self, done: Mapping[Partition, int]) -> None:
        try:
            self._consumer.commit(done)
        except Retry as error:
            log.warning("%s: what was processed last will be given again: %s", self._group, error)
        self._consumer.close()

    def _join(self) -> GroupConsumer:
        return GroupConsumer(
            self._settings,
            self._group,
            [FUSED.name(self._settings.prefix)],
            client_id="framefuse-subscriber",
            on_assigned=self._assigned,
            on_revoked=self._revoked,
            on_overtaken=self._overtaken,
            prefetch_records=_PREFETCH_RECORDS,
        )

    def _assigned(self, starts: Mapping[Partition, Assignment]) -> None:
        """Nothing to prepare: the consumer starts where the group was."""

    def _revoked(self, parts: frozenset[Partition]) -> None:
        """Nothing to give back: what was processed has been committed before the poll."""

    def _overtaken(self, gap: Overtaken) -> None:
        log.warning("%s: retention removed %d results unread", self._group, gap.next - gap.first)
