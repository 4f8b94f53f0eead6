"""The topic `streams`: read by everybody, changed only here.

A change is one transaction of the one writer `<prefix>.streams`: it begins by fencing whoever had that id,
then reads what is there, decides and commits. So no two changes ever cross, and each sees all before it. That
lets the writer choose the partition of each stream, the emptiest, instead of leaving it to a hash: publishers
own partitions, and twelve streams on twelve partitions are halved by two of them. A stream stays where it is.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from framefuse.errors import BadInput, Retry
from framefuse.kafka import Admin, Fenced, Message, Outgoing, Reader, TransactionalProducer, TransactionFailed
from framefuse.kafka.schema_topic import SchemaTopic
from framefuse.settings import KafkaSettings
from framefuse.streams.declaring import Changes, emptiest_first
from schemas.codec import NotARecord, SchemaBook, decode_of_any_age, encode
from schemas.records import Stream
from schemas.topics import FRAMES, STREAMS

log = logging.getLogger(__name__)
_TRIES = 6

Decide = Callable[[Mapping[str, Stream]], Changes]
"""From what is declared, by id, to what shall change."""


@dataclass(frozen=True, slots=True)
class Declared:
    """A stream as it stands in the topic."""

    stream: Stream
    partition: int
    """Of the topic `streams`: who owns it publishes the stream."""
    at: datetime
    """The broker's clock."""
    again_on: tuple[int, ...] = ()
    """Partitions with older records of the same stream, which no writer of ours leaves."""


def declared_streams(settings: KafkaSettings, book: SchemaBook | None = None) -> dict[str, Declared]:
    """What is declared now, by stream id.

    Raises:
        Retry: the broker did not answer.
        Stop: there is no such topic.
    """
    book = book or SchemaTopic(settings, announce=False).book
    with Reader(settings, client_id="framefuse-streams") as reader:
        return collected(reader.everything(STREAMS.name(settings.prefix)), book)


def collected(messages: Iterable[Message], book: SchemaBook) -> dict[str, Declared]:
    """The streams in these records; a record that this version cannot read is left out, and told."""
    latest: dict[tuple[str, int], Message] = {}
    for message in messages:
        latest[(message.key or b"").decode(errors="replace"), message.partition] = message
    found: dict[str, Declared] = {}
    for (stream_id, partition), message in sorted(latest.items(), key=lambda item: item[1].timestamp):
        stream = stream_in(message, book)
        if stream is not None:
            before = found.get(stream_id)
            others = (*before.again_on, before.partition) if before else ()
            found[stream_id] = Declared(stream, partition, message.timestamp, others)
    return found


def stream_in(message: Message, book: SchemaBook, refresh: Callable[[], None] | None = None) -> Stream | None:
    """The stream that a record declares; None where it declares none any more, or none that can be read.

    Args:
        message: of the topic `streams`.
        book: schemas by fingerprint.
        refresh: reads the topic of schemas again into `book`; called when a fingerprint is unknown.
    """
    if message.value is None:
        return None
    try:
        return decode_of_any_age(message.value, Stream, book, refresh or (lambda: None))
    except NotARecord as error:
        log.warning(
            "declaration of stream %s cannot be read: %s",
            (message.key or b"").decode(errors="replace"),
            error,
        )
        return None


class StreamRegistry:
    """Changes what is declared."""

    def __init__(self, settings: KafkaSettings) -> None:
        """Connect.

        Raises:
            BrokerUnavailable: no broker answers.
            Stop: there are no topics.
        """
        self._settings = settings
        self._topic = STREAMS.name(settings.prefix)
        counts = Admin(settings)
        self._partitions = counts.partition_count(self._topic)
        self._frames = counts.partition_count(FRAMES.name(settings.prefix))
        self._schemas = SchemaTopic(settings)

    def change(self, decide: Decide, *, dry_run: bool = False) -> tuple[Mapping[str, Stream], Changes]:
        """Let `decide` see what is declared, and write what it wants.

        Args:
            decide: called again when another writer came between.
            dry_run: write nothing.

        Returns:
            What was declared before, by id, and what it made of it.

        Raises:
            BadInput: a partition of `frames` that is not there.
            Retry: others write all the time, or the broker does not answer; nothing was written.
        """
        if dry_run:
            return self._decided(declared_streams(self._settings, self._schemas.book), decide)
        for _ in range(_TRIES):
            writer = TransactionalProducer(self._settings, f"{self._settings.prefix}.streams")
            try:
                there = declared_streams(self._settings, self._schemas.book)
                before, wanted = self._decided(there, decide)
                if wanted:
                    writer.write(list(self._records(there, wanted)))
                return before, wanted
            except (Fenced, TransactionFailed) as error:
                log.info("another writer of %s came between: %s", self._topic, error)
                time.sleep(0.2)
            finally:
                writer.close()
        raise Retry(f"{self._topic} is being changed by others all the time: try again")

    def _decided(self, there: Mapping[str, Declared], decide: Decide) -> tuple[Mapping[str, Stream], Changes]:
        before = {stream_id: found.stream for stream_id, found in there.items()}
        wanted = decide(before)
        for stream in (*wanted.added, *wanted.changed):
            if stream.partition is not None and stream.partition >= self._frames:
                raise BadInput(
                    f"stream {stream.stream_id}: partition {stream.partition}: "
                    f"{FRAMES.name(self._settings.prefix)} has the partitions 0 to {self._frames - 1}"
                )
        return before, wanted

    def _records(self, there: Mapping[str, Declared], wanted: Changes) -> Iterable[Outgoing]:
        counts = Counter(found.partition for found in there.values())
        held = [counts[number] for number in range(self._partitions)]
        for stream_id in wanted.removed:
            found = there[stream_id]
            for partition in (found.partition, *found.again_on):
                yield Outgoing(self._topic, partition, stream_id.encode(), None)
            held[found.partition] -= 1
        for stream in (*wanted.changed, *wanted.added):
            key = stream.stream_id.encode()
            if stream.stream_id in there:
                partition = there[stream.stream_id].partition
                for other in there[stream.stream_id].again_on:
                    yield Outgoing(self._topic, other, key, None)
            else:
                partition = emptiest_first(held)
                held[partition] += 1
            yield Outgoing(self._topic, partition, key, encode(stream))
