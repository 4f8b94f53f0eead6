"""Tells people of dead letters as they are written: the first at once, then how many there were. No Kafka."""

import logging
import threading
from collections import Counter

from schemas.records import DeadLetter

log = logging.getLogger("framefuse.worker")
_EVERY_S = 10.0


class LettersTold:
    """What one worker has given up on; safe for use by several threads. Time is an argument."""

    def __init__(self, stage: str, worker: str) -> None:
        self._stage, self._worker = stage, worker
        self._lock = threading.Lock()
        self._untold: Counter[str] = Counter()
        self._last: DeadLetter | None = None
        self._told_s: float | None = None

    def add(self, letter: DeadLetter) -> None:
        """Take note of a letter that is durable."""
        with self._lock:
            self._untold[letter.error] += 1
            self._last = letter

    def tell(self, now_s: float) -> None:
        """Log what was not told yet, if it is time."""
        with self._lock:
            if self._last is None or (self._told_s is not None and now_s - self._told_s < _EVERY_S):
                return
            counts, last = self._untold, self._last
            self._untold, self._last, self._told_s = Counter(), None, now_s
        log.warning(
            "%s: dead letters: %s; the last, %s-%d at %d: %s ('framefuse dead-letters list --stage %s')",
            self._worker,
            ", ".join(f"{count} {error}" for error, count in counts.items()),
            last.topic,
            last.partition,
            last.offset,
            last.message,
            self._stage,
        )
