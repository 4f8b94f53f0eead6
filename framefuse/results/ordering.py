"""Results of a stream in the order of its frames, though they come from several partitions.

Pure: what has come and the time that has passed go in, results come out. Never loses a result and never gives
one twice.

Each partition is in order (by run, then by sequence), so a stream on one partition needs none of this. One
that is spread (`--partition-by frame`) is put together again: its first second tells which partitions it
uses, then a result is given when the one before it in its run has been. Where that one is missing, such as a
dropped live frame, or where a run ends, the later ones wait until

- every partition that the stream is known to use has gone past the gap: then nothing can fill it any more;
- or nothing of the stream could be given for `patience_s`;
- or what waits, of all streams together, exceeds `limit_bytes`: then the stream that waits longest goes on.

What comes after all, behind a gap that was given up, is given at once and counted in `late`; so is a frame
that was replayed. Frames that nobody could read have no stream, and pass.
"""

from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import NamedTuple

from schemas.records import UNREADABLE, Fused

PATIENCE_S = 10.0
LIMIT_BYTES = 64 << 20
_SETTLE_S = 1.0
_HEAD_BYTES = 1024
"""What a result weighs besides its map."""


class _Place(NamedTuple):
    """Order within a stream; run ids are UUIDv7, so later runs are greater."""

    run_id: str
    sequence: int

    def follows(self, last: "_Place | None") -> bool:
        """Whether nothing can lie between `last` and this."""
        return last is not None and self.run_id == last.run_id and self.sequence <= last.sequence + 1


class _Held(NamedTuple):
    """A result that waits; `order` of arrival parts equal places."""

    place: _Place
    order: int
    fused: Fused


@dataclass(slots=True)
class _Stream:
    """One stream; `shown` is the last place of each partition that it uses.

    `waits_since_s` is when the first one came that is held, or when the last one was given, if that is later.
    """

    first_s: float
    waits_since_s: float
    last: _Place | None = None
    shown: dict[int, _Place] = field(default_factory=dict)
    held: list[_Held] = field(default_factory=list)

    def goes_on(self, now_s: float, patience_s: float) -> bool:
        """Whether the first one held is to be given."""
        head = self.held[0]
        if head.place.follows(self.last):
            return True
        settled = now_s - self.first_s >= min(_SETTLE_S, patience_s)
        passed = min(self.shown.values()) >= head.place
        return (settled and passed) or now_s - self.waits_since_s >= patience_s


class InOrder:
    """Puts the results of each stream in order; see the module for the rule on gaps."""

    def __init__(self, *, patience_s: float = PATIENCE_S, limit_bytes: int = LIMIT_BYTES) -> None:
        """Begin with nothing.

        Args:
            patience_s: how long a stream waits at a gap at most.
            limit_bytes: how much may wait, of all streams together: depth maps, and 1 KiB a result.
        """
        self._patience_s, self._limit_bytes = patience_s, limit_bytes
        self._streams: dict[str, _Stream] = {}
        self._order = 0
        self.held_bytes = 0
        """What waits at the moment."""
        self.late = 0
        """Results that were given after a later one of their stream."""

    def add(self, fused: Fused, now_s: float) -> list[Fused]:
        """Take a result; what may be given now, in order.

        Args:
            fused: results of one partition come in the order of the log.
            now_s: any clock that never falls.
        """
        if fused.stream_id == UNREADABLE:
            return [fused]
        stream = self._streams.setdefault(fused.stream_id, _Stream(now_s, now_s))
        place = _Place(fused.run_id, fused.sequence)
        at = fused.frame.partition
        stream.shown[at] = max(stream.shown.get(at, place), place)
        if stream.last is not None and place <= stream.last:
            self.late += 1
            return [fused]
        if not stream.held:
            stream.waits_since_s = now_s
        heappush(stream.held, _Held(place, self._order, fused))
        self._order += 1
        self.held_bytes += _size(fused)
        return [*self._given(stream, now_s), *self._overflow(now_s)]

    def advance(self, now_s: float) -> list[Fused]:
        """What may be given because time has passed, in order."""
        waiting = [stream for stream in self._streams.values() if stream.held]
        return [fused for stream in waiting for fused in self._given(stream, now_s)]

    def _given(self, stream: _Stream, now_s: float) -> list[Fused]:
        found: list[Fused] = []
        while stream.held and stream.goes_on(now_s, self._patience_s):
            found.append(self._give(stream, now_s))
        return found

    def _overflow(self, now_s: float) -> list[Fused]:
        found: list[Fused] = []
        while self.held_bytes > self._limit_bytes:
            waiting = (stream for stream in self._streams.values() if stream.held)
            longest = min(waiting, key=lambda stream: stream.waits_since_s)
            found += [self._give(longest, now_s), *self._given(longest, now_s)]
        return found

    def _give(self, stream: _Stream, now_s: float) -> Fused:
        held = heappop(stream.held)
        stream.last, stream.waits_since_s = held.place, now_s
        self.held_bytes -= _size(held.fused)
        return held.fused


def _size(fused: Fused) -> int:
    return _HEAD_BYTES + (len(fused.map.data) if fused.map else 0)
