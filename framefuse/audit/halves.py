"""PARTIAL outcomes whose missing half has come after all. Pure.

A live frame that timed out is PARTIAL by design, and its half is late. Any other waits until both sides have
told of it or of a later frame, so a half that is there was left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from framefuse.audit.offences import Offence, Offender, Place
from framefuse.audit.offsets import Offsets
from schemas.heads import DepthHead, DetectionsHead, FusedHead
from schemas.records import Missing, Outcome, Side, Status

_TOLD = tuple(f"{status.lower()}" for status in Status if status is not Status.OK)
"""What the reason of a side begins with that did tell of the frame."""
_LATE = "late"
"""What the reason of a side begins with that a live frame did not wait for any longer."""


def silent(missing: Missing) -> bool:
    """Whether this side had told nothing of the frame when it was decided; it may have told later."""
    return not missing.reason.startswith(_TOLD)


@dataclass(slots=True)
class _Waiting:
    """The frames that went on without one side."""

    timed_out: Offsets = field(default_factory=Offsets)
    """Live ones that waited long enough: after an outage of a stage these are millions."""
    others: dict[int, int] = field(default_factory=dict)
    """Offset in `fused` by that of the frame."""
    since: datetime | None = None
    """When the first of them was appended."""
    last: int = -1

    def add(self, head: FusedHead, fused_offset: int, reason: str) -> None:
        if head.live and reason.startswith(_LATE):
            self.timed_out.add(head.frame.offset)
        else:
            self.others[head.frame.offset] = fused_offset
        self.since = min(self.since or head.frame.appended_at, head.frame.appended_at)
        self.last = max(self.last, head.frame.offset)


@dataclass(slots=True)
class Halves:
    """The frames of one partition, or of one stream in it, that went on without one side."""

    partition: int
    stream: str | None = None
    waiting: dict[Side, _Waiting] = field(default_factory=lambda: {side: _Waiting() for side in Side})
    late: int = 0
    """Live frames whose half came after they had timed out."""

    def add(self, head: FusedHead, fused_offset: int) -> None:
        """Take the next outcome of `fused`."""
        if head.outcome is not Outcome.PARTIAL or self.stream not in (None, head.stream_id):
            return
        for missing in head.missing:
            if silent(missing):
                self.waiting[missing.side].add(head, fused_offset, missing.reason)

    def wanted(self) -> Iterator[tuple[Side, datetime, int]]:
        """Where to look: side, when the first of its frames was appended, and the last frame's offset."""
        for side, waiting in self.waiting.items():
            if waiting.since is not None:
                yield side, waiting.since, waiting.last

    def found(self, side: Side, half: DetectionsHead | DepthHead) -> Offender | None:
        """Take a record of a side; what is wrong, if its frame has gone on without it."""
        waiting, frame = self.waiting[side], half.frame.offset
        if half.status is not Status.OK:
            return None
        if frame in waiting.timed_out:
            self.late += 1
        if frame not in waiting.others:
            return None
        place = Place(self.partition, frame)
        return Offender(Offence.HALF_LEFT_OUT, place, waiting.others[frame], half.stream_id, half.sequence)
