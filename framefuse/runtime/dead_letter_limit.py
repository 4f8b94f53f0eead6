"""When failures say that the model or the code is broken, and not the records. Pure.

Without a limit a broken model would drain its whole topic into the dead letters. Records that never reached
the model (unreadable, expired) say nothing about it, and are not noted here.
"""

from collections import deque

from framefuse.errors import Stop

WINDOW_RECORDS = 1000
LEAST_RECORDS = 200
"""A share of fewer is chance."""


class DeadLetterLimit:
    """Counts what a processor made of records, in order."""

    def __init__(self, *, consecutive: int, share: float) -> None:
        """Set the limits.

        Args:
            consecutive: failures in a row that are too many; 0 lifts this limit.
            share: of the last `WINDOW_RECORDS` records, once there are `LEAST_RECORDS`; 0 lifts this limit.
        """
        self._consecutive, self._share = consecutive, share
        self._in_a_row = 0
        self._failed: deque[bool] = deque(maxlen=WINDOW_RECORDS)
        self._failures = 0

    def note(self, *, failed: bool) -> str | None:
        """Take note of one record; what is too much about the failures so far, if anything is."""
        if len(self._failed) == WINDOW_RECORDS:
            self._failures -= self._failed[0]
        self._failed.append(failed)
        self._failures += failed
        self._in_a_row = self._in_a_row + 1 if failed else 0
        if not failed:
            return None
        if self._consecutive and self._in_a_row >= self._consecutive:
            return f"{self._in_a_row:,} records in a row"
        seen = len(self._failed)
        if self._share and seen >= LEAST_RECORDS and self._failures >= self._share * seen:
            return f"{self._failures:,} of the last {seen:,} records"
        return None


def broken(stage: str, too_many: str, reason: str, setting_prefix: str) -> Stop:
    """What a worker says that stops for too many failures.

    Args:
        stage: its name.
        too_many: as `DeadLetterLimit.note` puts it.
        reason: of the last failure.
        setting_prefix: of the stage's settings in the environment.
    """
    return Stop(
        f"{stage} failed on {too_many}, which is the model or the code rather than the records; "
        f"the last said: {reason}. Mend it (see 'framefuse dead-letters list --stage {stage}'), start again, "
        f"and then 'framefuse dead-letters replay --stage {stage}'. "
        f"If the records are to blame: {setting_prefix}DEAD_LETTER_LIMIT, 0 for none, and …DEAD_LETTER_SHARE"
    )
