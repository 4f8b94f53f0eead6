"""What has been said of each stream, so that only news is written. Pure.

A stream that comes to rest is told once more, and then no more until its next result.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from processors.statistics.counting import at_rest, report
from schemas.statistics import Statistics, StatisticsRow


class Board:
    """The streams that this worker counts, as they were told last."""

    def __init__(self, *, quiet_after: timedelta, forget_after: timedelta) -> None:
        self.streams: dict[str, Statistics] = {}
        self._quiet_after, self._forget_after = quiet_after, forget_after

    def news(self, rows: Iterable[StatisticsRow], now: datetime) -> Sequence[Statistics]:
        """What is to be told of these streams, which are all; the others are another worker's now."""
        before, self.streams = self.streams, {}
        found = []
        for row in rows:
            told = before.get(row.stream_id)
            if told is not None and at_rest(told) and told.frames == row.frames:
                self.streams[row.stream_id] = told
                continue
            latest = report(row, now, quiet_after=self._quiet_after)
            self.streams[row.stream_id] = latest
            if told is None or replace(latest, updated_at=told.updated_at) != told:
                found.append(latest)
        return found

    def forgotten(self, now: datetime) -> Sequence[str]:
        """The streams that have been at rest for so long that nobody misses them."""
        return [
            one.stream_id
            for one in self.streams.values()
            if at_rest(one) and now - max(one.last.fused_at, one.updated_at) > self._forget_after
        ]
