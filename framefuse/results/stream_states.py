"""How the publishers of streams are: the compacted topic `stream-states`, followed."""

from collections.abc import Mapping
from types import TracebackType
from typing import Self

from framefuse.kafka import Reader
from framefuse.settings import KafkaSettings
from schemas.codec import NotARecord, SchemaBook, decode
from schemas.records import StreamState
from schemas.topics import STREAM_STATES

_AT_ONCE = 5_000


class StreamStates:
    """The latest state of every stream; a context manager."""

    def __init__(self, settings: KafkaSettings) -> None:
        """Begin at the start of the topic; nothing is read yet.

        Raises:
            Retry: the broker did not answer.
            Stop: there is no such topic.
        """
        self._latest: dict[str, StreamState] = {}
        self._book = SchemaBook()
        self._reader = Reader(settings, client_id="framefuse-states")
        try:
            bounds = self._reader.bounds(STREAM_STATES.name(settings.prefix))
        except BaseException:
            self._reader.close()
            raise
        self._reader.assign({part: low for part, (low, _) in bounds.items()})

    def read(self, timeout_s: float = 0.0) -> Mapping[str, StreamState]:
        """What is known now, by stream id; waits at most so long for something new."""
        for message in self._reader.poll(timeout_s, _AT_ONCE):
            stream_id = (message.key or b"").decode(errors="replace")
            if message.value is None:
                self._latest.pop(stream_id, None)
                continue
            try:
                self._latest[stream_id] = decode(message.value, StreamState, self._book)
            except NotARecord:
                continue  # of a version that this one cannot read: its results are shown all the same
        return dict(self._latest)

    def close(self) -> None:
        """Disconnect."""
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
