"""Which live frames a stage still computes when it cannot keep up: one in 1, 2, 4, … by their sequence.

Stages that drop independently ruin the join: what one kept, the other has dropped. Here every stage keeps the
frames of a stream with `(sequence + phase) % 2**rung == 0`, so what a slow stage keeps, a faster one keeps
too, without a word between them. The phase is made of the stream id, so that the kept frames of cameras that
started together do not come in bursts. Pure: time comes in as an argument.
"""

from zlib import crc32

from framefuse.types import Record
from schemas.records import Frame

LAST_RUNG = 6
"""One frame in 64; beyond that, frames expire."""
_TOO_OLD = 0.4
"""A frame above this share of its budget waited for too long: keep fewer."""
_FRESH = 0.2
"""Below this share of the budget, on average, little waits: more could be kept."""
_AVERAGED_OVER = 10.0
"""Frames, the latest weighing most."""
_SETTLE_S = 0.3
"""For so long a new rung is given time to show in the ages."""
_PATIENCE_S, _LONGEST_PATIENCE_S = 4.0, 64.0
"""So long all must be fresh before more are kept; twice as long after each try that failed."""


class Ladder:
    """The rung of one worker, moved by the ages of the frames that it computes."""

    def __init__(self) -> None:
        self.rung = 0
        """The stage keeps one live frame in `2**rung`."""
        self._average = 0.0
        self._fresh_since_s: float | None = None
        self._moved_s = self._lowered_s = -_LONGEST_PATIENCE_S
        self._patience_s = _PATIENCE_S

    def refuses(self, record: Record[Frame]) -> str | None:
        """Why a frame is left out, or None if it is kept; files and frames that never expire always are."""
        frame, step = record.value, 1 << self.rung
        if not frame.live or frame.freshness_ms is None:
            return None
        if (frame.sequence + crc32(frame.stream_id.encode())) % step == 0:
            return None
        return f"shed: the stage cannot keep up and computes one live frame in {step}"

    def note(self, age_share: float, now_s: float) -> None:
        """Take notice of a live frame that is computed now.

        Args:
            age_share: its age as a share of its budget, 0 to 1.
            now_s: monotonic time.
        """
        self._average += (age_share - self._average) / _AVERAGED_OVER
        if self._average > _FRESH:
            self._fresh_since_s = None
        elif self._fresh_since_s is None:
            self._fresh_since_s = now_s
        if now_s - self._moved_s < _SETTLE_S:
            return
        if age_share > _TOO_OLD and self.rung < LAST_RUNG:
            self._climb(now_s)
        elif self.rung and self._fresh_for_s(now_s) >= self._patience_s:
            self.rung -= 1
            self._moved_s = self._lowered_s = now_s
            self._fresh_since_s = None

    def _fresh_for_s(self, now_s: float) -> float:
        return 0.0 if self._fresh_since_s is None else now_s - self._fresh_since_s

    def _climb(self, now_s: float) -> None:
        failed = now_s - self._lowered_s < self._patience_s + _SETTLE_S
        self._patience_s = min(2 * self._patience_s, _LONGEST_PATIENCE_S) if failed else _PATIENCE_S
        self.rung += 1
        self._moved_s = now_s
