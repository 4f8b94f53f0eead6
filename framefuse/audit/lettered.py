"""How frames ended that may have a dead letter, and so a replay to come: 8 bytes a frame. Pure."""

from array import array
from bisect import bisect_left

import numpy as np

from schemas.records import Outcome

_RECENT = 1 << 16
# A dead letter first: of two records of one frame it is the one that is found.
_OUTCOMES = (Outcome.DEAD_LETTER, *(outcome for outcome in Outcome if outcome is not Outcome.DEAD_LETTER))
_CODES = {outcome: code for code, outcome in enumerate(_OUTCOMES)}
_BITS = 3
_MASK = (1 << 64) - (1 << _BITS)


class Lettered:
    """Outcomes by frame id.

    An id is kept as 61 bits of its hash: among a million ids, one in 10¹² that are asked for is mistaken.
    """

    def __init__(self, most: int | None = None) -> None:
        """Keep this many at most and forget all that are older, or keep everything."""
        self._most = most
        self._recent: dict[int, int] = {}
        self._sorted = array("Q")
        """Hash and outcome in one integer each."""

    def __len__(self) -> int:
        return len(self._recent) + len(self._sorted)

    def add(self, frame_id: str, outcome: Outcome) -> None:
        """Remember how a frame ended."""
        key = hash(frame_id) & _MASK
        self._recent[key] = min(self._recent.get(key, len(_OUTCOMES)), _CODES[outcome])
        if len(self._recent) >= _RECENT:
            self._settle()

    def get(self, frame_id: str) -> Outcome | None:
        """How a frame ended; None of one that was never added, or is forgotten."""
        key = hash(frame_id) & _MASK
        if (code := self._recent.get(key)) is not None:
            return _OUTCOMES[code]
        at = bisect_left(self._sorted, key)
        if at == len(self._sorted) or self._sorted[at] & _MASK != key:
            return None
        return _OUTCOMES[self._sorted[at] & ~_MASK]

    def _settle(self) -> None:
        if self._most is not None and len(self) > self._most:
            self._sorted = array("Q")
        self._sorted.extend(key | code for key, code in self._recent.items())
        np.frombuffer(self._sorted, np.uint64).sort()
        self._recent.clear()
