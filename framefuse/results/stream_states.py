"""How the publishers of streams are: the compacted topic `stream-states`, followed."""

from collections.abc import Mapping
from types import TracebackType
from typing import Self

from framefuse.kafka import Reader
from framefuse.kafka.schema_topic import SchemaTopic
from framefuse.settings import KafkaSettings
from schemas.codec import NotARecord
from schemas.records import StreamState
from schemas.topics import STREAM_STATES

_AT_ONCE = 5_000


class StreamStates:
    """The latest state of every stream; a context manager."""

    def __init__(self, settings: KafkaSettings, schemas: SchemaTopic | None = None) -> None:
        """Begin at the start of the topic; nothing is read yet.

        Args:
            settings: where the broker is.
            schemas: shared with other readers; read anew unless given.

        Raises:
            Retry: the broker did not answer.
            Stop: a topic is missing, or we may not read it.
        """
        self._latest: dict[str, StreamState] = {}
        self._schemas = schemas or SchemaTopic(settings, announce=False)
        self._reader = Reader(settings, client_id="framefuse-states")
        try:
            bounds = self._reader.bounds(STREAM_STATES.name(settings.prefix))
        except BaseException:
            self._reader.close()
            raise
        self._reader.assign({part: low for part, (low, _) in bounds.items()})

    def read(self, timeout_s: float = 0.0) -> Mapping[str, StreamState]:
        """What is known now, by stream id; waits at most so long for something new.

        Raises:
            Retry, Stop: the broker does not answer, or we may not read the topic.
        """
        for message in self._reader.poll(timeout_s, _AT_ONCE):
            stream_id = (message.key or b"").decode(errors="replace")
            if message.value is None:
                self._latest.pop(stream_id, None)
                continue
            try:
                self._latest[stream_id] = self._schemas.decoded(message.value, StreamState)
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
