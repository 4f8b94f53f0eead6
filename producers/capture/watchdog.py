"""When a connected camera is silent, when it is given up, and how long to wait before the next try.

Knows no clock and no network: times come in as arguments, chance as a function. Not thread-safe.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

_INTERVALS_OF_SILENCE = 2.0
_GAPS_KEPT = 9
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 30.0
_GOOD_AFTER_S = 10.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a camera may be silent, in seconds."""

    first_s: float = 5.0
    """Before its first picture, while it is connected to and asked what it has."""
    least_s: float = 2.0
    """After it, whatever its rate."""
    given_up_after: float = 3.0
    """Connect anew after this many times the silence that makes it stalled."""


class Watchdog:
    """Watches one connection, from the first try to make it."""

    def __init__(self, began_s: float, patience: Patience) -> None:
        """Begin to wait.

        Args:
            began_s: monotonic seconds.
            patience: how long a camera may be silent.
        """
        self._seen_s, self._patience = began_s, patience
        self._gaps: deque[float] = deque(maxlen=_GAPS_KEPT)
        self._any = False
        self.interval_s: float | None = None
        """Between two pictures, where the camera says so."""

    def picture(self, now_s: float) -> None:
        """A picture came."""
        if self._any:
            self._gaps.append(now_s - self._seen_s)
        self._seen_s, self._any = now_s, True

    @property
    def allowed_s(self) -> float:
        """Silence after which the camera is stalled: two usual intervals, and at least what patience says."""
        usual_s = median(self._gaps) if self._gaps else self.interval_s or 0.0
        least_s = self._patience.least_s if self._any else self._patience.first_s
        return max(_INTERVALS_OF_SILENCE * usual_s, least_s)

    def silence_s(self, now_s: float) -> float:
        """Seconds since the last picture, or since it was connected."""
        return now_s - self._seen_s

    def stalled(self, now_s: float) -> bool:
        """Whether the camera is silent for too long."""
        return self.silence_s(now_s) > self.allowed_s

    def hopeless(self, now_s: float) -> bool:
        """Whether only a new connection can help."""
        return self.silence_s(now_s) > self._patience.given_up_after * self.allowed_s


class Backoff:
    """Waits that double, with jitter, so that fifty cameras behind one switch do not come back as one."""

    def __init__(self, chance: Callable[[], float]) -> None:
        """Begin.

        Args:
            chance: a number from 0 to 1, another one at each call.
        """
        self._chance = chance
        self._tries = 0

    def wait_s(self, *, lived_s: float = 0.0, refused: bool = False) -> float:
        """Seconds until the next try.

        Args:
            lived_s: how long the last connection gave pictures; a good one begins anew.
            refused: the camera refused us. Some lock an account after a few tries.
        """
        if lived_s >= _GOOD_AFTER_S:
            self._tries = 0
        longest_s = _LONGEST_WAIT_S if refused else min(_FIRST_WAIT_S * 2.0**self._tries, _LONGEST_WAIT_S)
        self._tries = min(self._tries + 1, 16)
        return longest_s * (0.5 + 0.5 * self._chance())
