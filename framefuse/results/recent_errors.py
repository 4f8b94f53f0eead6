"""The last dead letters, as a watcher wants them: one line a stage and kind of error, newest first."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Self

from framefuse.dead_letters.notes import DISMISS, REPLAY
from framefuse.kafka import Message, Reader
from framefuse.kafka.schema_topic import SchemaTopic
from framefuse.settings import KafkaSettings
from schemas.codec import NotARecord
from schemas.records import UNREADABLE, DeadLetter
from schemas.topics import DEAD_LETTERS

_LAST_OFFSETS = 8
"""Read from before the watch began; markers of transactions are among them."""
_FETCH_BYTES = 64 << 10
_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class RecentError:
    """What one stage gave up on for one reason."""

    stage: str
    error: str
    message: str
    """Of the latest."""
    stream_id: str
    """Of the latest; `unreadable` where nobody knows."""
    at: datetime
    """When the latest was written."""
    count: int = 1


class ErrorLog:
    """Errors by stage and kind. Pure."""

    def __init__(self) -> None:
        self._latest: dict[tuple[str, str], RecentError] = {}

    def add(self, letter: DeadLetter, at: datetime) -> None:
        """Take in one letter; what a replay leaves behind is none."""
        if letter.stage in (REPLAY, DISMISS):
            return
        before = self._latest.pop((letter.stage, letter.error), None)
        self._latest[letter.stage, letter.error] = RecentError(
            letter.stage,
            letter.error,
            letter.message,
            (letter.key or UNREADABLE.encode()).decode(errors="replace"),
            at,
            1 + (before.count if before else 0),
        )

    def newest_first(self) -> Sequence[RecentError]:
        """One of each stage and kind."""
        return list(reversed(self._latest.values()))


class RecentErrors:
    """Follows the topic of dead letters from shortly before its end; a context manager."""

    def __init__(self, settings: KafkaSettings, schemas: SchemaTopic) -> None:
        """Connect.

        Raises:
            Retry: the broker did not answer.
            Stop: there is no such topic.
        """
        self._log, self._schemas = ErrorLog(), schemas
        self._reader = Reader(
            settings, prefetch=_LAST_OFFSETS, fetch_bytes=_FETCH_BYTES, client_id="framefuse-errors"
        )
        try:
            bounds = self._reader.bounds(DEAD_LETTERS.name(settings.prefix))
        except BaseException:
            self._reader.close()
            raise
        self._reader.assign({part: max(low, high - _LAST_OFFSETS) for part, (low, high) in bounds.items()})

    def read(self) -> Sequence[RecentError]:
        """What is known now, newest first; takes what has been fetched and waits for nothing.

        Raises:
            Retry, Stop: the broker does not answer, or we may not read the topic.
        """
        for message in self._reader.poll(0.0, _AT_ONCE):
            self._take(message)
        return self._log.newest_first()

    def close(self) -> None:
        """Disconnect."""
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _take(self, message: Message) -> None:
        try:
            self._log.add(self._schemas.decoded(message.value, DeadLetter), message.timestamp)
        except NotARecord:
            return  # 'framefuse dead-letters list' counts those
