"""A camera's own timestamps as seconds since its source began, and how late each picture came.

Knows no clock, no network and no picture: times come in as arguments. Not thread-safe.
"""

from dataclasses import dataclass

_JUMP_S = 10.0
"""Timestamps this far from the time that passed here began anew."""
_WINDOW_S = 30.0


@dataclass(frozen=True, slots=True)
class Moment:
    """One picture in time."""

    pts_s: float
    """Seconds since the source began; never falls, over all connections."""
    late_s: float
    """How much longer it was on its way than the fastest of the last minute, from 0."""


class Timeline:
    """Places the pictures of a source, over all its connections."""

    def __init__(self, began_s: float) -> None:
        """Begin.

        Args:
            began_s: monotonic seconds.
        """
        self._began_s = began_s
        self._last_s = 0.0
        self._anchor: tuple[float, float] | None = None
        self._last_raw_s = 0.0
        self._fastest = _Fastest()

    def restart(self) -> None:
        """What comes next has timestamps of another origin: a new connection."""
        self._anchor = None

    def place(self, raw_s: float | None, arrived_s: float) -> Moment:
        """Place one picture.

        Args:
            raw_s: its own timestamp in seconds, where it has one.
            arrived_s: monotonic seconds when it came.
        """
        elapsed_s = arrived_s - self._began_s
        if raw_s is None:
            self._last_s = max(self._last_s, elapsed_s)
            return Moment(self._last_s, 0.0)
        if self._anchor is None or self._jumped(raw_s, elapsed_s):
            self._anchor, self._fastest = (raw_s, elapsed_s), _Fastest()
        self._last_raw_s = raw_s
        at_s = self._anchor[1] + raw_s - self._anchor[0]
        late_s = self._fastest.late_s(elapsed_s - at_s, elapsed_s)
        self._last_s = max(self._last_s, at_s)
        return Moment(self._last_s, late_s)

    def _jumped(self, raw_s: float, elapsed_s: float) -> bool:
        if self._anchor is None or raw_s < self._last_raw_s:
            return True
        return abs(self._anchor[1] + raw_s - self._anchor[0] - elapsed_s) > _JUMP_S


class _Fastest:
    """The least delay of the last window or two; a window, because no two clocks run alike."""

    def __init__(self) -> None:
        self._since_s: float | None = None
        self._now = self._before = float("inf")

    def late_s(self, delay_s: float, at_s: float) -> float:
        if self._since_s is None or at_s - self._since_s > _WINDOW_S:
            self._since_s, self._before, self._now = at_s, self._now, float("inf")
        self._now = min(self._now, delay_s)
        return delay_s - min(self._now, self._before)
