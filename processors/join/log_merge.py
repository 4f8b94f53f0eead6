"""The merge of sorted logs: one decision per frame, in strictly increasing frame offset.

Each source holds, per partition, at most one record (a *half*) per frame, sorted by the frame's offset. So a
half whose other side has already passed its offset is decided at once, and nothing needs a table: all that
survives a restart is the last emitted frame offset, which rides as a note on the committed positions.

Knows no Kafka, no clock (time comes in as an argument), and not what halves mean: a function given to
`LogMerge` makes the output of each `Decision`.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from framefuse.errors import Stop
from framefuse.types import Emission, MergeCounts, Record, Safe, unreadable
from schemas.records import UNREADABLE, Derived, FrameRef

LEAST_HELD = 0.25
"""Part of `wait_s` that a half is held at least, however old its frame: after a stall (ours or the broker's)
its other half often lies in the topic already, only not read yet."""


class Absence(StrEnum):
    """Why a side has no half of a decided frame."""

    LOST = "lost: no record"
    LATE = "late: timed out"


@dataclass(frozen=True, slots=True)
class Decision:
    """All there will ever be of one frame; every source is in `halves` or in `absent`."""

    origin: Derived
    halves: Mapping[str, Any]
    absent: Mapping[str, Absence]
    decided_at: datetime


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a merge waits, how far a source may lead, how much one `advance` emits."""

    wait_s: float = 2.0
    pending_max: int = 1000
    pending_max_bytes: int = 256 << 20
    emitted_max: int = 256
    emitted_max_bytes: int = 32 << 20

    @property
    def wait(self) -> timedelta:
        """The age at which a live frame is decided with what there is."""
        return timedelta(seconds=self.wait_s)


@dataclass(slots=True)
class Half:
    """One record of one source that waits; `seen` is the partition's held clock when it came."""

    value: Derived
    input_offset: int
    size_bytes: int
    seen: timedelta = timedelta()

    @property
    def frame(self) -> int:
        """Offset of the frame."""
        return self.value.frame.offset


@dataclass(slots=True)
class Log:
    """One source of one partition: what it has told that is not emitted yet, and how far it has been read."""

    end: int
    pending: deque[Half] = field(default_factory=deque)
    pending_bytes: int = 0
    passed: int = -1
    """The largest frame offset it has told; it tells nothing up to there any more."""
    position: int = 0
    crowded: bool = False

    @property
    def silent(self) -> bool:
        """Whether it may still tell something of the next frame: nothing of it or of a later one waits."""
        return not self.pending

    @property
    def caught_up(self) -> bool:
        """Whether everything that was in it at assignment has been read."""
        return self.position >= self.end

    def push(self, half: Half) -> None:
        """Take a half that is beyond all others."""
        self.pending.append(half)
        self.pending_bytes += half.size_bytes

    def pop(self, frame: int) -> Half | None:
        """The half of this frame, if it is the first that waits."""
        if not self.pending or self.pending[0].frame != frame:
            return None
        half = self.pending.popleft()
        self.pending_bytes -= half.size_bytes
        return half

    def measure(self, limits: Limits) -> bool:
        """Whether it is crowded: from its limit on, until it has drained to half of it."""
        share = max(len(self.pending) / limits.pending_max, self.pending_bytes / limits.pending_max_bytes)
        self.crowded = share >= (0.5 if self.crowded else 1.0)
        return self.crowded


@dataclass(slots=True)
class MergePartition:
    """The state of one partition."""

    logs: dict[str, Log]
    last_frame: int | None
    """The offset of the last frame that was emitted; None before the first ever."""
    held: timedelta = timedelta()
    """A clock that a stall or a step of the wall clock cannot push: no tick adds much, none takes away."""
    ticked_at: datetime | None = None
    fresh: list[Half] = field(default_factory=list)

    def tick(self, now: datetime, at_most: timedelta) -> None:
        """Let time pass; halves that came since the last tick start to be held now."""
        if self.ticked_at is not None:
            self.held += min(max(now - self.ticked_at, timedelta()), at_most)
        self.ticked_at = now
        for half in self.fresh:
            half.seen = self.held
        self.fresh.clear()

    def first(self) -> Half | None:
        """The pending half of the lowest frame."""
        heads = [log.pending[0] for log in self.logs.values() if log.pending]
        return min(heads, key=lambda half: half.frame, default=None)

    def timed_out(self, half: Half, now: datetime, wait: timedelta) -> bool:
        """Whether a live half has waited long enough, by its frame's age or, failing that, in our hands."""
        held = self.held - half.seen
        age = now - half.value.frame.appended_at
        return held > wait or (age > wait and held > wait * LEAST_HELD)


class LogMerge:
    """Brings the halves of each frame together; a `framefuse.types.Merge`.

    The counters are plain integers, for metrics: halves `received`; `late` ones, whose frame had been
    emitted; `duplicates`, which repeat or step back within their own log; frames `timed_out`.
    """

    def __init__(
        self,
        sources: Sequence[str],
        output_of: Callable[[Decision], Derived],
        *,
        limits: Limits,
        size_bytes_of: Callable[[Any], int] = lambda value: 0,
    ) -> None:
        self._sources = tuple(sources)
        self._output_of = output_of
        self._limits = limits
        self._size_bytes_of = size_bytes_of
        self._partitions: dict[int, MergePartition] = {}
        self.received = 0
        self.late = 0
        self.duplicates = 0
        self.timed_out = 0

    @property
    def pending(self) -> int:
        """Halves that wait, in all partitions."""
        return sum(len(log.pending) for state in self._partitions.values() for log in state.logs.values())

    def counts(self) -> MergeCounts:
        """What has happened since it was made."""
        return MergeCounts(self.pending, self.received, self.late, self.duplicates, self.timed_out)

    def assigned(self, partition: int, notes: Sequence[str], ends: Mapping[str, int]) -> None:
        """Take over a partition from where its notes say; earlier state of it is forgotten.

        Raises:
            Stop: a note is none of ours.
        """
        logs = {source: Log(end=ends[source]) for source in self._sources}
        last_frames = [_frame_offset(note, partition) for note in notes if note]
        self._partitions[partition] = MergePartition(logs, max(last_frames, default=None))

    def revoked(self, partition: int) -> None:
        """Forget a partition."""
        self._partitions.pop(partition, None)

    def add(self, suffix: str, record: Record[Any]) -> None:
        """Take one record of the source with this suffix; late ones and duplicates are only counted."""
        state = self._partitions[record.partition]
        log = state.logs[suffix]
        log.position = max(log.position, record.offset + 1)
        self.received += 1
        frame = record.value.frame.offset
        if frame <= log.passed:
            self.duplicates += 1
            return
        log.passed = frame
        if state.last_frame is not None and frame <= state.last_frame:
            self.late += 1
            return
        half = Half(record.value, record.offset, self._size_bytes_of(record.value))
        log.push(half)
        state.fresh.append(half)

    def reached(self, suffix: str, partition: int, position: int) -> None:
        """The source has been read up to `position` (exclusive), records or not (transaction markers)."""
        log = self._partitions[partition].logs[suffix]
        log.position = max(log.position, position)

    def advance(self, partition: int, now: datetime) -> Sequence[Emission]:
        """What can be decided at `now`, in order; a limited amount, so call again while it yields any.

        Raises:
            Stop: two halves at one frame offset are of different frames.
        """
        state, limits = self._partitions[partition], self._limits
        state.tick(now, limits.wait * LEAST_HELD / 2)
        emissions: list[Emission] = []
        size_bytes = 0
        while len(emissions) < limits.emitted_max and size_bytes < limits.emitted_max_bytes:
            half = state.first()
            if half is None or not self._decidable(state, half, now):
                break
            decision = self._take(state, half, now)
            size_bytes += sum(self._size_bytes_of(value) for value in decision.halves.values())
            emissions.append(Emission(self._output_of(decision), decision.origin.stream_id.encode()))
        return emissions

    def safe(self, partition: int, positions: Mapping[str, int]) -> Safe:
        """Each source's first record that is not emitted, else its position; the note is the last emitted."""
        state = self._partitions[partition]
        offsets = {
            source: log.pending[0].input_offset if log.pending else positions[source]
            for source, log in state.logs.items()
        }
        return Safe(offsets, "" if state.last_frame is None else str(state.last_frame))

    def note_of(self, last: Derived) -> str:
        """The note of who had emitted this record last."""
        return str(last.frame.offset)

    def crowded(self, suffix: str, partition: int) -> bool:
        """Whether this source leads by its limit and must be paused, until it has drained to half of it."""
        return self._partitions[partition].logs[suffix].measure(self._limits)

    def _decidable(self, state: MergePartition, half: Half, now: datetime) -> bool:
        silent = [log for log in state.logs.values() if log.silent]
        if not silent:
            return True
        # Only the silent ones must be read to their end: the leading one may be paused short of its own.
        caught_up = all(log.caught_up for log in silent)
        return caught_up and half.value.live and state.timed_out(half, now, self._limits.wait)

    def _take(self, state: MergePartition, first: Half, now: datetime) -> Decision:
        """The next frame, now decided: the one of `first`, or a lost one before it."""
        frame = first.frame if state.last_frame is None else state.last_frame + 1
        absent = {source: Absence.LATE if log.silent else Absence.LOST for source, log in state.logs.items()}
        halves: dict[str, Derived] = {}
        for source, log in state.logs.items():
            if half := log.pop(frame):
                halves[source] = half.value
                del absent[source]
        if frame == first.frame:
            self.timed_out += Absence.LATE in absent.values()
        state.last_frame = frame
        return Decision(_origin(frame, first.value.frame, halves), halves, absent, now)


def _origin(frame: int, at: FrameRef, halves: Mapping[str, Derived]) -> Derived:
    """The head of a frame: from a half that could read it, if any."""
    readable = {half.frame_id: half for half in halves.values() if half.stream_id != UNREADABLE}
    if len(readable) > 1:
        raise Stop(
            f"{' and '.join(halves)} hold different frames for {at.topic}/{at.partition} offset {frame}: "
            f"{' and '.join(readable)}; was {at.topic} deleted and created again? Then delete and create "
            f"the topics derived from it as well: 'framefuse topics create'"
        )
    for half in (*readable.values(), *halves.values()):
        return half
    return unreadable(FrameRef(at.topic, at.partition, frame, at.appended_at))


def _frame_offset(note: str, partition: int) -> int:
    try:
        return int(note)
    except ValueError:
        raise Stop(
            f"partition {partition} was committed with the metadata {note!r}, expected a frame offset: "
            f"another program commits to this consumer group; stop it and delete the group's offsets"
        ) from None
