"""The books of an audit: whether every published frame has exactly one outcome, in order. Pure.

`frames` is dense (never written in a transaction, never compacted), so its bounds alone say what was
published. Each outcome sets the bit of its frame: a zero below the last outcome is a frame that was passed
over, one above it is in flight, and a bit that is set twice a duplicate.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from framefuse.audit.ledger import Ledger, Tally
from framefuse.audit.offences import OFFENDERS_NAMED, Offence, Offender, Place
from framefuse.audit.stored import StoredCounts
from schemas.heads import FusedHead
from schemas.records import UNREADABLE, Head


class Bounds(NamedTuple):
    """First and next offset of one partition of a topic."""

    first: int
    next: int


@dataclass(frozen=True, slots=True)
class Books:
    """What an audit found."""

    ledger: Ledger
    offences: Mapping[Offence, int]
    offenders: Sequence[Offender]
    """The first of them, at most `OFFENDERS_NAMED`."""
    horizons: Mapping[int, int]
    """By partition, the first frame that is counted."""
    in_flight_removed: int = 0
    """Frames of any stream that retention removed before they had an outcome: what no stage has read ends as
    lost, once there is a later frame in the partition."""
    late: int = 0
    """Live frames that are PARTIAL because their other half came too late."""
    unattributed: int = 0
    """In the books of one stream: outcomes of frames of any stream that nobody could read."""
    stored: StoredCounts | None = None
    """Where a store was compared."""

    @property
    def balanced(self) -> bool:
        """Exactly one outcome for every frame that is not in flight, in order."""
        return not any(self.offences.values()) and self.ledger.difference == 0


class PartitionBooks:
    """The books of one partition; feed it `fused` from its start."""

    def __init__(
        self,
        partition: int,
        frames: Bounds,
        *,
        fused_complete: bool,
        tally: Tally,
        stream: str | None = None,
        since: int = 0,
    ) -> None:
        """Open the books.

        Args:
            partition: its number in both topics.
            frames: bounds of `frames`, taken after the end of `fused` up to which it will be read.
            fused_complete: retention has taken nothing of `fused` from where it is read on.
            tally: takes the outcomes that count; may be shared by partitions.
            stream: count only frames of this stream; accuse those, too, whose stream cannot be known.
            since: count and accuse only frames from this offset on.
        """
        self.since = since
        self.partition, self._frames, self._fused_complete = partition, frames, fused_complete
        self._tally, self._stream = tally, stream
        self.horizon = max(frames.first, since)
        """The first frame that both logs can tell of; before the first outcome, what is known of it."""
        self.unattributed = 0
        """Outcomes left out of the tally, because nobody knows of which stream their frames are."""
        self.offences: Counter[Offence] = Counter()
        self.offenders: list[Offender] = []
        self._last = -1
        self._bits: bytearray | None = None

    def add(self, head: FusedHead, fused_offset: int) -> None:
        """Take the outcome of one frame, in the order of `fused`."""
        frame = head.frame.offset
        if frame < self.since:
            return
        if head.frame.partition != self.partition or not 0 <= frame < self._frames.next:
            self._accuse(Offence.UNKNOWN_FRAME, head, fused_offset)
            return
        bits = self._begin(frame) if self._bits is None else self._bits
        at, bit = divmod(frame - self.horizon, 8)
        if at >= 0 and bits[at] >> bit & 1:
            self._accuse(Offence.DUPLICATED, head, fused_offset)
            return
        if frame < self._last:
            self._accuse(Offence.OUT_OF_ORDER, head, fused_offset)
        if at >= 0:
            bits[at] |= 1 << bit
            if self._stream in (None, head.stream_id):
                self._tally.add(head)
            elif head.stream_id == UNREADABLE:
                self.unattributed += 1
        self._last = max(frame, self._last)

    def add_unreadable(self, fused_offset: int) -> None:
        """Take note of a record that cannot be decoded."""
        self.note(Offender(Offence.UNREADABLE, Place(self.partition, fused_offset), fused_offset))

    @property
    def records(self) -> int:
        """Frame records from the horizon on."""
        return self._frames.next - self.horizon

    @property
    def in_flight(self) -> range:
        """Frames after the last one with an outcome."""
        return range(max(self.horizon, self._last + 1), self._frames.next)

    @property
    def in_flight_removed(self) -> int:
        """How many of `in_flight` retention has removed."""
        return max(0, self._frames.first - self.in_flight.start)

    def missing(self) -> Iterator[int]:
        """Frames without an outcome before the last one that has one."""
        for at, byte in enumerate(self._bits or b""):
            for bit in range(8) if byte != 0xFF else ():
                frame = self.horizon + 8 * at + bit
                if frame >= self._last:
                    return
                if not byte >> bit & 1:
                    yield frame

    def places(self, offsets: Iterable[int]) -> Iterator[Place]:
        """Offsets of frames as places in this partition."""
        return (Place(self.partition, offset) for offset in offsets)

    def _begin(self, frame: int) -> bytearray:
        # Where nothing is gone from `fused`, frames before its first one count, if `frames` still has them.
        first = min(frame, self._frames.first) if self._fused_complete else frame
        self.horizon = max(first, self.since)
        self._bits = bytearray(-(-(self._frames.next - self.horizon) // 8))
        return self._bits

    def _accuse(self, offence: Offence, head: FusedHead, fused_offset: int) -> None:
        if self._stream in (None, head.stream_id) or head.stream_id == UNREADABLE:
            place = Place(head.frame.partition, head.frame.offset)
            self.note(Offender(offence, place, fused_offset, head.stream_id, head.sequence))

    def note(self, offender: Offender) -> None:
        """Take down something that is wrong."""
        self.offences[offender.offence] += 1
        if len(self.offenders) < OFFENDERS_NAMED:
            self.offenders.append(offender)


def unsettled(parts: Sequence[PartitionBooks], *, stream: str | None) -> Iterator[Place]:
    """The frames whose heads `close` wants, in its order: the first missing ones; of a stream, all."""
    missing = (place for part in parts for place in part.places(part.missing()))
    if stream is None:
        yield from islice(missing, OFFENDERS_NAMED)
        return
    yield from missing
    for part in parts:
        yield from part.places(part.in_flight)


def close(
    parts: Sequence[PartitionBooks],
    tally: Tally,
    heads: Iterable[tuple[Place, Head | None]],
    *,
    stream: str | None = None,
) -> Books:
    """Close the books of all partitions.

    Args:
        parts: read to their end.
        tally: the one they share.
        heads: of the frames that `unsettled` names, in its order; None where `frames` has it no longer.
        stream: as they were opened with.
    """
    without = _of_all(parts, heads) if stream is None else _of_stream(parts, heads, stream)
    offences = sum((part.offences for part in parts), Counter[Offence]())
    offences[Offence.MISSING] += without.missing
    offenders = [*without.offenders, *(offender for part in parts for offender in part.offenders)]
    if stream is None:
        records = sum(part.records for part in parts)
    else:
        records = tally.outcomes.total() + tally.superseded + without.missing + without.in_flight
    return Books(
        tally.ledger(records, without.in_flight),
        +offences,
        sorted(offenders, key=lambda offender: offender.place)[:OFFENDERS_NAMED],
        {part.partition: part.horizon for part in parts},
        in_flight_removed=sum(part.in_flight_removed for part in parts),
        unattributed=sum(part.unattributed for part in parts),
    )


@dataclass(slots=True)
class _Unsettled:
    """Frames without an outcome, as far as they count."""

    missing: int = 0
    in_flight: int = 0
    offenders: list[Offender] = field(default_factory=list)


def _of_all(parts: Sequence[PartitionBooks], heads: Iterable[tuple[Place, Head | None]]) -> _Unsettled:
    return _Unsettled(
        missing=sum(1 for part in parts for _ in part.missing()),
        # Not one by one where all count: after an outage that is millions.
        in_flight=sum(len(part.in_flight) for part in parts),
        offenders=[_missing(place, head) for place, head in heads],
    )


def _of_stream(
    parts: Sequence[PartitionBooks], heads: Iterable[tuple[Place, Head | None]], stream: str
) -> _Unsettled:
    without = _Unsettled()
    flying = {part.partition: part.in_flight.start for part in parts}
    for place, head in heads:
        if place.offset >= flying[place.partition]:
            without.in_flight += head is not None and head.stream_id == stream
        elif head is None or head.stream_id == stream:
            without.missing += 1
            if without.missing <= OFFENDERS_NAMED:
                without.offenders.append(_missing(place, head))
    return without


def runs(places: Iterable[Place]) -> Iterator[tuple[int, range]]:
    """Neighbours together: partition and offsets. The places come sorted within each partition."""
    start: Place | None = None
    before = Place(-1, -1)
    for place in places:
        if start is None or place != (before.partition, before.offset + 1):
            if start is not None:
                yield start.partition, range(start.offset, before.offset + 1)
            start = place
        before = place
    if start is not None:
        yield start.partition, range(start.offset, before.offset + 1)


def _missing(place: Place, head: Head | None) -> Offender:
    if head is None:
        return Offender(Offence.MISSING, place)
    return Offender(Offence.MISSING, place, stream_id=head.stream_id, sequence=head.sequence)
