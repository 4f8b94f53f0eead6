"""What has been said of each stream, so that only news is written. Pure.

A stream that comes to rest is told once more, and then no more until its next result.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from processors.statistics.counting import at_rest, last_heard, report
from schemas.statistics import Statistics, StatisticsRow


@dataclass(frozen=True, slots=True)
class News:
    """What is to be written."""

    statistics: Sequence[Statistics]
    forgotten: Sequence[str]
    """Streams that have been quiet for so long that nobody misses them."""


class Board:
    """The streams that this worker counts, as they were told last."""

    def __init__(self, *, quiet_after: timedelta, forget_after: timedelta) -> None:
        self.streams: dict[str, Statistics] = {}
        self._quiet_after, self._forget_after = quiet_after, forget_after

    def look(self, rows: Iterable[StatisticsRow], now: datetime) -> News:
        """What is new of these streams, which are all that are ours now."""
        before, self.streams = self.streams, {}
        statistics, forgotten = [], []
        for row in rows:
            if self.forgettable(row, now):
                forgotten.append(row.stream_id)
                continue
            told = before.get(row.stream_id)
            if told is not None and at_rest(told) and told.frames == row.frames:
                self.streams[row.stream_id] = told
                continue
            latest = report(row, now, quiet_after=self._quiet_after)
            self.streams[row.stream_id] = latest
            if told is None or replace(latest, updated_at=told.updated_at) != told:
                statistics.append(latest)
        return News(statistics, forgotten)

    def forgettable(self, row: StatisticsRow, now: datetime) -> bool:
        """Whether a stream has been quiet for long enough."""
        return now - last_heard(row) > self._forget_after
