"""What the stage `statistics` says of each stream, for `streams`, `watch` and scripts.

Reads the compacted topic `statistics`; joins no group and changes nothing.
"""

import json
import logging
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

from framefuse.errors import Retry
from framefuse.kafka import Reader
from framefuse.kafka.schema_topic import SchemaTopic
from framefuse.results.plain import plain_json
from framefuse.settings import KafkaSettings
from framefuse.types import Partition
from schemas.codec import NotARecord, to_dict
from schemas.records import UNREADABLE
from schemas.statistics import Statistics
from schemas.topics import STATISTICS

log = logging.getLogger("framefuse.statistics")
STALE_AFTER = timedelta(seconds=15)
_PATIENCE_S = 10.0


class StreamStatistics:
    """The latest statistics of every stream; a context manager, not safe for use by several threads."""

    def __init__(self, settings: KafkaSettings, schemas: SchemaTopic | None = None) -> None:
        """Begin at the start of the topic; nothing is read yet.

        Args:
            settings: where the broker is.
            schemas: shared with other readers; read anew unless given.

        Raises:
            Retry: the broker did not answer.
            Stop: there is no broker, or no such topic.
        """
        self._topic = STATISTICS.name(settings.prefix)
        self._latest: dict[str, Statistics] = {}
        self._schemas = schemas or SchemaTopic(settings, announce=False)
        self._reader = Reader(settings, client_id="framefuse-statistics")
        try:
            self._reader.assign({part: low for part, (low, _) in self._reader.bounds(self._topic).items()})
        except BaseException:
            self._reader.close()
            raise

    def read(self) -> Sequence[Statistics]:
        """Catch up with the topic, then the latest of each stream, by name; `unreadable` last.

        Raises:
            Retry: the broker did not answer.
        """
        ends = {part: end for part, (_, end) in self._reader.bounds(self._topic).items()}
        heard_s = time.monotonic()
        while self._behind(ends):
            messages = self._reader.poll(0.05)
            for message in messages:
                self._take((message.key or b"").decode(errors="replace"), message.value)
            if messages:
                heard_s = time.monotonic()
            elif time.monotonic() - heard_s > _PATIENCE_S:
                raise Retry(f"{self._topic} gave nothing for {_PATIENCE_S:.0f} s")
        return sorted(self._latest.values(), key=lambda one: (one.stream_id == UNREADABLE, one.stream_id))

    def close(self) -> None:
        """Disconnect."""
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _behind(self, ends: dict[Partition, int]) -> bool:
        positions = self._reader.positions()
        return any(positions.get(part, 0) < end for part, end in ends.items())

    def _take(self, stream_id: str, value: bytes | None) -> None:
        if value is None:
            self._latest.pop(stream_id, None)
            return
        try:
            self._latest[stream_id] = self._schemas.decoded(value, Statistics)
        except NotARecord as error:
            log.warning("statistics of %s: %s", stream_id, error)


def statistics_of_streams(settings: KafkaSettings) -> Sequence[Statistics]:
    """One look: the latest statistics of each stream, by name; none where no stage `statistics` ever ran.

    Raises:
        Retry: the broker did not answer.
        Stop: there is no broker, or no such topic.
    """
    with StreamStatistics(settings) as streams:
        return streams.read()


def stale(statistics: Statistics, now: datetime) -> bool:
    """Whether a stream that was not quiet has not been told of for so long that no worker can be at work."""
    return not statistics.quiet and now - statistics.updated_at > STALE_AFTER


def as_plain(statistics: Statistics) -> dict[str, object]:
    """The fields of `Statistics` as JSON has them, times in ISO 8601."""
    plain: dict[str, object] = json.loads(plain_json(to_dict(statistics)))
    return plain


def seen_in_words(statistics: Statistics, *, limit: int = 3) -> str:
    """What is in the last frame, most seen first, then the nearest: `2 car, 1 person, nearest car 7.3 m`."""
    there = [f"{one.now} {one.label}" for one in statistics.labels if one.now]
    words = there[:limit] + ([f"{len(there) - limit} more"] if len(there) > limit else [])
    nearest = statistics.nearest
    if nearest is not None:
        how_far = f" {nearest.depth:.1f} {nearest.unit}" if nearest.unit else ""
        words.append(f"nearest {nearest.label}{how_far}")
    return ", ".join(words)
