"""The worker of a stage that merges: reads co-assigned partitions of several topics, writes one.

Thin: what is decided, and when, is the `Merge`'s business. Here it is polled for, written in one transaction
with the positions of *all* its sources, and committed when idle. A partition of which only one source is
assigned (partition counts differ while they grow) is paused: no record, no timer, no commit.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from framefuse import metrics
from framefuse.errors import Retry
from framefuse.kafka import Assignment, GroupConsumer, Message, Outgoing, Overtaken, TransactionalProducer
from framefuse.runtime.dead_letters import letter_for
from framefuse.runtime.intake import Intake
from framefuse.runtime.result_size import SizeLimit
from framefuse.types import Emission, Member, Merge, MergeCounts, Partition
from schemas.codec import encode
from schemas.records import Derived, Fused

log = logging.getLogger("framefuse.merging")
_IDLE_POLL_S = 0.2
_PENDING_POLL_S = 0.02
_POLL_LIMIT = 500
_LATE_SHARE = 0.01
WATCH_INTERVAL_S = 1.0


@dataclass(frozen=True, slots=True)
class MergeParts:
    """What a merging worker is made of."""

    stage: str
    name: str
    """Group and instance, its transactional id."""
    sources: Mapping[str, str]
    """Full topic name → suffix."""
    intakes: Mapping[str, Intake[Any]]
    """By full topic name."""
    to: SizeLimit
    dead_letters: str
    merge: Callable[[], Merge]
    last: Callable[[Iterable[int]], Mapping[int, Derived]]
    """The last record of each of these partitions of `to` that has one."""
    consumer: Callable[..., GroupConsumer]
    producer: Callable[[], TransactionalProducer]


@dataclass(slots=True)
class _Round:
    """What one turn of the loop will write."""

    records: list[Outgoing] = field(default_factory=list)
    touched: set[int] = field(default_factory=set)
    outcomes: Counter[str] = field(default_factory=Counter)
    letters: Counter[str] = field(default_factory=Counter)
    more: bool = False


def too_many_late(now: MergeCounts, before: MergeCounts) -> bool:
    """Whether more than 1 % of what came since `before` came late."""
    return now.late - before.late > _LATE_SHARE * (now.received - before.received)


class MergeMembership:
    """One life in the group. Everything happens in the thread that runs it."""

    def __init__(self, parts: MergeParts, stop: threading.Event) -> None:
        self._parts, self._stop = parts, stop
        self._merge = parts.merge()
        self._whole: frozenset[int] = frozenset()
        self._half: frozenset[Partition] = frozenset()
        self._committed: dict[Partition, int] = {}
        self._counted = self._merge.counts()
        self._paused = 0
        self._watched_s = 0.0

    def run(self) -> None:
        """Join, work until stopped, write what is decided, leave.

        Raises:
            Retry: read again in a new life.
            Stop: never mind.
        """
        parts = self._parts
        self._producer = parts.producer()
        try:
            self._consumer = parts.consumer(
                on_assigned=self._assigned,
                on_revoked=self._revoked,
                on_overtaken=self._overtaken,
                prefetch_records=_POLL_LIMIT,
            )
            try:
                self._loop()
            finally:
                self._consumer.close()
        finally:
            self._producer.close()
            metrics.UP.labels(parts.stage, parts.name).set(0)

    def _loop(self) -> None:
        more = False
        while not self._stop.is_set():
            timeout_s = 0.0 if more else _PENDING_POLL_S if self._merge.counts().pending else _IDLE_POLL_S
            messages = self._consumer.poll(timeout_s, _POLL_LIMIT)
            group = self._consumer.group_metadata() if messages or more else None
            turn = _Round()
            self._add(messages, turn)
            self._advance(turn)
            if turn.records:
                self._write(turn, group or self._consumer.group_metadata())
            self._pace()
            self._watch()
            more = turn.more

    def _add(self, messages: Sequence[Message], turn: _Round) -> None:
        received_s = time.monotonic()
        for message in messages:
            if message.partition not in self._whole:
                continue
            taken = self._parts.intakes[message.topic].take(message, received_s=received_s)
            if taken.record is not None:
                self._merge.add(self._parts.sources[message.topic], taken.record)
            elif taken.refusal is not None and taken.refusal.error is not None:
                # Nobody but us writes these topics; the frame itself ends by its other side, or as lost.
                letter = letter_for(message, stage=self._parts.stage, error=taken.refusal.error, attempt=0)
                turn.records.append(Outgoing(self._parts.dead_letters, None, message.key, encode(letter)))
                turn.touched.add(message.partition)
                turn.letters[letter.error] += 1
        for part, position in self._consumer.positions().items():
            if part.number in self._whole:
                self._merge.reached(self._parts.sources[part.topic], part.number, position)

    def _advance(self, turn: _Round) -> None:
        now = datetime.now(UTC)
        for number in sorted(self._whole):
            emissions = self._merge.advance(number, now)
            if emissions:
                turn.more = True  # the merge yields a bounded amount a call
                turn.touched.add(number)
                turn.records.extend(self._outgoing(number, emission) for emission in emissions)
                values = [emission.value for emission in emissions]
                turn.outcomes.update(value.outcome for value in values if isinstance(value, Fused))

    def _outgoing(self, number: int, emission: Emission) -> Outgoing:
        to, value = self._parts.to, emission.value
        fitted = to.fitted(encode(value), partition=number, offset=value.frame.offset)
        return Outgoing(to.topic, number, emission.key, fitted)

    def _write(self, turn: _Round, group: Member) -> None:
        begun_s = time.monotonic()
        offsets, notes = self._safe(turn.touched)
        self._producer.write(turn.records, offsets, group, notes=notes)
        self._committed.update(offsets)
        for outcome, count in turn.outcomes.items():
            metrics.OUTCOMES.labels(outcome).inc(count)
        for error, count in turn.letters.items():
            metrics.DEAD_LETTERS.labels(self._parts.stage, error).inc(count)
        metrics.BATCH_RECORDS.labels(self._parts.stage).observe(len(turn.records))
        metrics.SECONDS.labels(self._parts.stage, "write").observe(time.monotonic() - begun_s)

    def _safe(self, numbers: set[int] | frozenset[int]) -> tuple[dict[Partition, int], dict[Partition, str]]:
        """Positions of both sides of these partitions, and the note on each."""
        at = self._consumer.positions()
        offsets: dict[Partition, int] = {}
        notes: dict[Partition, str] = {}
        for number in numbers:
            positions = {
                suffix: at[Partition(topic, number)] for topic, suffix in self._parts.sources.items()
            }
            safe = self._merge.safe(number, positions)
            for topic, suffix in self._parts.sources.items():
                offsets[Partition(topic, number)] = safe.offsets[suffix]
                notes[Partition(topic, number)] = safe.note
        return offsets, notes

    def _pace(self) -> None:
        """Pause a source that leads too far; resume it when the others have caught up."""
        self._paused = 0
        for topic, suffix in self._parts.sources.items():
            crowded = [n for n in self._whole if self._merge.crowded(suffix, n)]
            self._paused += len(crowded)
            self._consumer.pause(Partition(topic, number) for number in crowded)
            free = self._whole.difference(crowded)
            self._consumer.resume(Partition(topic, number) for number in free)

    def _watch(self) -> None:
        """Once a second: metrics, and the commit of positions that moved past transaction markers."""
        now_s = time.monotonic()
        if now_s - self._watched_s < WATCH_INTERVAL_S:
            return
        self._watched_s = now_s
        self._report()
        offsets, notes = self._safe(self._whole)
        changed = {part.number for part, at in offsets.items() if self._committed.get(part) != at}
        offsets = {part: at for part, at in offsets.items() if part.number in changed}
        try:
            self._consumer.commit(offsets, notes)
        except Retry as error:  # the next second will do
            log.info("%s: %s", self._parts.name, error)
        else:
            self._committed.update(offsets)

    def _report(self) -> None:
        labels = (self._parts.stage, self._parts.name)
        metrics.ASSIGNED.labels(*labels).set(len(self._whole))
        metrics.LAG.labels(*labels).set(self._consumer.lag(self._committed))
        metrics.JOIN_HALF_ASSIGNED.labels(self._parts.name).set(len(self._half))
        counts, before = self._merge.counts(), self._counted
        self._counted = counts
        metrics.JOIN_PENDING.labels(self._parts.name).set(counts.pending)
        metrics.JOIN_PAUSED.labels(self._parts.name).set(self._paused)
        metrics.JOIN_EVENTS.labels("late").inc(counts.late - before.late)
        metrics.JOIN_EVENTS.labels("duplicates").inc(counts.duplicates - before.duplicates)
        metrics.JOIN_EVENTS.labels("timed_out").inc(counts.timed_out - before.timed_out)
        self._warn(counts, before)

    def _warn(self, counts: MergeCounts, before: MergeCounts) -> None:
        """Say what was dropped since `before`, and what makes it come in time."""
        if counts.duplicates > before.duplicates:
            log.warning(
                "%s: dropped %d records of frames that their side had told of before: its stage reads again "
                "from before, or frames alone was made anew, which needs all topics of the prefix made anew",
                self._parts.name,
                counts.duplicates - before.duplicates,
            )
        if too_many_late(counts, before):
            log.warning(
                "%s: %d of %d records came after their frame was decided: set --wait-ms above the freshness "
                "budget and the slowest batch together, or run more workers of the late stage",
                self._parts.name,
                counts.late - before.late,
                counts.received - before.received,
            )

    # ── rebalances, called from within `poll` ──

    def _assigned(self, starts: Mapping[Partition, Assignment]) -> None:
        topics = self._parts.sources
        numbers = {part.number for part in starts}
        self._whole = frozenset(n for n in numbers if all(Partition(topic, n) in starts for topic in topics))
        self._half = frozenset(part for part in starts if part.number not in self._whole)
        self._committed = {part: start.offset for part, start in starts.items() if part.number in self._whole}
        notes = {
            n: [note for topic in topics if (note := starts[Partition(topic, n)].note)] for n in self._whole
        }
        # New, or forgotten by the group: what has been written tells where we were.
        for number, last in self._parts.last([n for n, known in notes.items() if not known]).items():
            notes[number] = [self._merge.note_of(last)]
        for number in self._whole:
            sides = {topic: starts[Partition(topic, number)] for topic in topics}
            self._merge.assigned(
                number,
                notes[number],
                {suffix: sides[topic].end for topic, suffix in topics.items()},
            )
        if self._half:
            log.warning("%s: %d partitions have one side only and wait", self._parts.name, len(self._half))
            self._consumer.pause(self._half)
        metrics.UP.labels(self._parts.stage, self._parts.name).set(1)

    def _revoked(self, parts: frozenset[Partition]) -> None:
        del parts  # the range assignor takes all and gives some back
        for number in self._whole:
            self._merge.revoked(number)
        self._whole, self._half = frozenset(), frozenset()
        self._committed = {}

    def _overtaken(self, overtaken: Overtaken) -> None:
        metrics.LOST.labels(self._parts.stage).inc(overtaken.next - overtaken.first)
