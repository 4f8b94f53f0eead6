"""Audits the topics of a pipeline: reads `fused` from its start, and of `frames` hardly more than its bounds.

Thin: what is right and wrong is decided in `auditing.py`. Writes nothing and joins no group.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress

from framefuse.audit.books import Books, Bounds, PartitionBooks, Place, close, runs, unsettled
from framefuse.audit.ledger import Tally
from framefuse.kafka import Admin, Message, Reader
from framefuse.kafka.schema_topic import SchemaTopic
from framefuse.settings import KafkaSettings
from framefuse.types import Partition
from schemas.codec import NotARecord, SchemaBook
from schemas.heads import FusedHead, decode_head
from schemas.records import Head
from schemas.topics import FRAMES, FUSED

_TELL_EVERY = 1000
Progress = Callable[[int, int], None]
"""Told how many offsets of `fused` have been read, of how many."""


def _untold(done: int, total: int) -> None:
    del done, total


def audit(settings: KafkaSettings, *, stream: str | None = None, progress: Progress = _untold) -> Books:
    """The books of everything that is in the topics now.

    Args:
        settings: where the broker is.
        stream: only this stream's frames. Their number is in no offset, so the heads of all frames in flight
            are read.
        progress: told after each batch.

    Raises:
        BrokerUnavailable: no broker answers.
        Retry: it stops answering.
        Stop: there are no topics.
    """
    frames_topic, fused_topic = FRAMES.name(settings.prefix), FUSED.name(settings.prefix)
    Admin(settings).partition_count(fused_topic)
    book, tally = SchemaTopic(settings, announce=False).book, Tally()
    with Reader(settings, client_id="framefuse-audit") as reader:
        fused = _bounds(reader, fused_topic)
        # After those of `fused`: every frame with an outcome is then below its end.
        frames = _bounds(reader, frames_topic)
        parts = []
        for number in sorted(frames):
            first = fused[number].first if number in fused else 0
            parts.append(
                PartitionBooks(number, frames[number], fused_first=first, tally=tally, stream=stream)
            )
        wanted = {number: bounds for number, bounds in fused.items() if number < len(parts)}
        total = sum(bounds.next - bounds.first for bounds in wanted.values())
        for done, message in enumerate(_read(reader, fused_topic, wanted), start=1):
            _enter(parts[message.partition], message, book)
            if done % _TELL_EVERY == 0:
                progress(done, total)
        heads = dict(_heads(reader, frames_topic, frames, unsettled(parts, stream=stream), book))
    return close(parts, tally, heads, stream=stream)


def _bounds(reader: Reader, topic: str) -> dict[int, Bounds]:
    return {part.number: Bounds(*bounds) for part, bounds in reader.bounds(topic).items()}


def _enter(books: PartitionBooks, message: Message, book: SchemaBook) -> None:
    try:
        books.add(decode_head(message.value, FusedHead, book), message.offset)
    except NotARecord:
        books.add_unreadable(message.offset)


def _heads(
    reader: Reader,
    topic: str,
    frames: Mapping[int, Bounds],
    places: Iterable[Place],
    book: SchemaBook,
) -> Iterator[tuple[Place, Head]]:
    """The heads of these frames, without those that retention has removed or that cannot be decoded."""
    for number, offsets in runs(places):
        first = max(offsets.start, frames[number].first)
        for message in _read(reader, topic, {number: Bounds(first, offsets.stop)}):
            with suppress(NotARecord):
                yield Place(number, message.offset), decode_head(message.value, Head, book)


def _read(reader: Reader, topic: str, bounds: Mapping[int, Bounds]) -> Iterator[Message]:
    """All records within the bounds, by partition."""
    return reader.within(
        {Partition(topic, number): (bound.first, bound.next) for number, bound in bounds.items()}
    )
