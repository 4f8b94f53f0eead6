"""PARTIAL outcomes whose missing half has come after all. Pure.

A live frame that timed out is PARTIAL by design, and its half is late. Anything else waits for both halves,
so a half that is there was left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from framefuse.audit.offences import Offence, Offender, Place
from schemas.heads import DepthHead, DetectionsHead, FusedHead
from schemas.records import Missing, Outcome, Side, Status

_TOLD = tuple(f"{status.lower()}" for status in Status if status is not Status.OK)
"""What the reason of a side begins with that did tell of the frame."""


def silent(missing: Missing) -> bool:
    """Whether this side had told nothing of the frame when it was decided; it may have told later."""
    return not missing.reason.startswith(_TOLD)


@dataclass(slots=True)
class _Half:
    """A frame that waits for the record of one side."""

    head: FusedHead
    fused_offset: int


@dataclass(slots=True)
class Halves:
    """The frames of one partition, or of one stream in it, that went on without one side."""

    partition: int
    stream: str | None = None
    waiting: dict[Side, dict[int, _Half]] = field(default_factory=lambda: {side: {} for side in Side})
    late: int = 0
    """Live frames whose half came after they had timed out."""

    def add(self, head: FusedHead, fused_offset: int) -> None:
        """Take the next outcome of `fused`."""
        if head.outcome is not Outcome.PARTIAL or self.stream not in (None, head.stream_id):
            return
        for missing in head.missing:
            if silent(missing):
                self.waiting[missing.side][head.frame.offset] = _Half(head, fused_offset)

    def wanted(self) -> Iterator[tuple[Side, datetime, int]]:
        """Where to look: side, when the first of its frames was appended, and the last frame's offset."""
        for side, halves in self.waiting.items():
            if halves:
                yield side, min(half.head.frame.appended_at for half in halves.values()), max(halves)

    def found(self, side: Side, half: DetectionsHead | DepthHead) -> Offender | None:
        """Take a record of a side; what is wrong, if its frame has gone on without it."""
        left = self.waiting[side].get(half.frame.offset)
        if left is None or half.status is not Status.OK:
            return None
        if left.head.live:
            self.late += 1
            return None
        place = Place(self.partition, half.frame.offset)
        head = left.head
        return Offender(Offence.HALF_LEFT_OUT, place, left.fused_offset, head.stream_id, head.sequence)
