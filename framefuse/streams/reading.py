"""What is declared beside how it is: rows for whoever shows streams."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from framefuse.errors import Stop
from framefuse.kafka import Admin, Message, Reader
from framefuse.kafka.schema_topic import SchemaTopic
from framefuse.publishing.publication import END_OF_SOURCE
from framefuse.results.stream_statistics import statistics_of_streams
from framefuse.settings import KafkaSettings
from framefuse.streams.credentials import masked
from framefuse.streams.registry import declared_streams
from schemas.codec import NotARecord, SchemaBook, decode
from schemas.records import State, Stream, StreamState
from schemas.statistics import Statistics
from schemas.topics import STREAM_STATES


@dataclass(frozen=True, slots=True)
class Reported:
    """How a stream was, as its publisher said last."""

    state: StreamState
    at: datetime
    """The broker's clock."""


@dataclass(frozen=True, slots=True)
class Row:
    """One stream: declared, reported, or both."""

    stream_id: str
    declared: Stream | None
    reported: Reported | None
    statistics: Statistics | None = None
    """What comes out of it, where the stage `statistics` tells."""

    @property
    def source(self) -> str:
        """Its address, fit for everybody's eyes; empty where nobody declared one."""
        return masked(self.declared.source) if self.declared else ""


def rows(settings: KafkaSettings, *, every: bool = False) -> list[Row]:
    """All declared streams and those that are published without, by id.

    Args:
        settings: where the broker is.
        every: also those that nobody declares any more and that have ended.

    Raises:
        BrokerUnavailable, Retry: the broker did not answer.
        Stop: there are no topics.
    """
    Admin(settings).partition_count(STREAM_STATES.name(settings.prefix))
    book = SchemaTopic(settings, announce=False).book
    declared = {stream_id: found.stream for stream_id, found in declared_streams(settings, book).items()}
    told = {one.stream_id: one for one in _statistics(settings)}
    return merged(declared, reported_states(settings, book), told, every=every)


def merged(
    declared: Mapping[str, Stream],
    reported: Mapping[str, Reported],
    told: Mapping[str, Statistics] | None = None,
    *,
    every: bool = False,
) -> list[Row]:
    """All sides brought together; see `rows`. Statistics alone make no row."""
    return [
        Row(stream_id, declared.get(stream_id), reported.get(stream_id), (told or {}).get(stream_id))
        for stream_id in sorted(declared.keys() | reported.keys())
        if every or stream_id in declared or reported[stream_id].state.state is not State.ENDED
    ]


def _statistics(settings: KafkaSettings) -> Sequence[Statistics]:
    """None where there is no such topic yet, or no right to read it: they are only an addition."""
    try:
        return statistics_of_streams(settings)
    except Stop:
        return ()


def reported_states(settings: KafkaSettings, book: SchemaBook) -> dict[str, Reported]:
    """The last word of each stream's publisher, by stream id.

    Raises:
        Retry: the broker did not answer.
        Stop: there is no such topic.
    """
    with Reader(settings, client_id="framefuse-states") as reader:
        return latest_states(reader.everything(STREAM_STATES.name(settings.prefix)), book)


def latest_states(messages: Iterable[Message], book: SchemaBook) -> dict[str, Reported]:
    """The last of these records by stream; one that this version cannot read is left out."""
    found: dict[str, Reported] = {}
    for message in messages:
        stream_id = (message.key or b"").decode(errors="replace")
        found.pop(stream_id, None)
        if message.value is None:
            continue
        try:
            found[stream_id] = Reported(decode(message.value, StreamState, book), message.timestamp)
        except NotARecord:
            continue
    return found


def published_since(
    settings: KafkaSettings, book: SchemaBook, since: Mapping[str, datetime]
) -> frozenset[str]:
    """The streams whose source has been published to its end after these times (the broker's clock).

    Raises:
        Retry: the broker did not answer.
    """
    reported = reported_states(settings, book)
    return frozenset(
        stream_id
        for stream_id, declared_at in since.items()
        if (found := reported.get(stream_id)) is not None
        and found.at >= declared_at
        and found.state.ended == END_OF_SOURCE
    )
