"""Audits the topics of a pipeline: reads `fused` from its start, and of `frames` hardly more than its bounds.

Thin: what is right and wrong is decided in `books.py`, `halves.py` and `stored.py`. Writes nothing and joins
no group.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial

from framefuse.audit.books import Books, Bounds, PartitionBooks, close, runs, unsettled
from framefuse.audit.halves import Halves
from framefuse.audit.ledger import Tally
from framefuse.audit.offences import Place
from framefuse.audit.stored import WITHIN, OpenRows, StoreBooks, StoredCounts, StoredRows
from framefuse.kafka import Admin, Message, Reader
from framefuse.kafka.schema_topic import SchemaTopic
from framefuse.settings import KafkaSettings
from framefuse.types import Partition
from schemas.codec import NotARecord, SchemaBook
from schemas.heads import DepthHead, DetectionsHead, FusedHead, decode_head
from schemas.records import Head, Side
from schemas.topics import DEPTH, DETECTIONS, FRAMES, FUSED

_TELL_EVERY = 1000
_MARGIN = timedelta(minutes=1)
"""Of what other hosts stamp: their clocks may be this far behind the broker's."""
_SIDES: Mapping[Side, tuple[str, type[DetectionsHead] | type[DepthHead]]] = {
    Side.DETECTION: (DETECTIONS.suffix, DetectionsHead),
    Side.DEPTH: (DEPTH.suffix, DepthHead),
}
Progress = Callable[[int, int], None]
"""Told how many offsets of `fused` have been read, of how many."""


def _untold(done: int, total: int) -> None:
    del done, total


@dataclass(frozen=True, slots=True)
class Scope:
    """What an audit looks at."""

    stream: str | None = None
    """Only this stream's frames. Their number is in no offset, so the heads of all in flight are read."""
    since: datetime | None = None
    """Only frames that were appended since."""
    store: StoredRows | None = None
    """Compare what is in this store, too."""
    store_patience: timedelta = WITHIN
    """How long a result may be on its way into that store."""


@dataclass(slots=True)
class _Part:
    """One partition, with all that is checked of it."""

    books: PartitionBooks
    halves: Halves
    store: StoreBooks | None = None

    def enter(self, message: Message, schemas: SchemaBook) -> None:
        try:
            head = decode_head(message.value, FusedHead, schemas)
        except NotARecord:
            self.books.add_unreadable(message.offset)
            return
        self.books.add(head, message.offset)
        if head.frame.offset >= self.books.since:
            self.halves.add(head, message.offset)
            if self.store is not None:
                self.store.add(head, message.timestamp)


@dataclass(slots=True)
class _Audit:
    """What the steps of one audit share."""

    settings: KafkaSettings
    scope: Scope
    reader: Reader
    schemas: SchemaBook
    stored: StoredCounts
    tally: Tally = field(default_factory=Tally)

    def name(self, suffix: str) -> str:
        return f"{self.settings.prefix}.{suffix}"

    def bounds(self, suffix: str) -> dict[int, Bounds]:
        return {part.number: Bounds(*at) for part, at in self.reader.bounds(self.name(suffix)).items()}

    def since(self, suffix: str, moment: datetime | None, margin: timedelta = _MARGIN) -> dict[int, int]:
        """By partition, the first offset of that moment or later; nothing where none is asked for."""
        if moment is None:
            return {}
        found = self.reader.offsets_at(self.name(suffix), moment - margin)
        return {part.number: offset for part, offset in found.items()}

    def within(self, suffix: str, bounds: Mapping[int, Bounds]) -> Iterator[Message]:
        """All records within the bounds, by partition in order."""
        topic = self.name(suffix)
        return self.reader.within(
            {Partition(topic, number): (at.first, at.next) for number, at in bounds.items()}
        )


def audit(settings: KafkaSettings, scope: Scope | None = None, *, progress: Progress = _untold) -> Books:
    """The books of everything that is in the topics now.

    Args:
        settings: where the broker is.
        scope: what to look at; everything in the topics unless given.
        progress: told now and then.

    Raises:
        BrokerUnavailable: no broker answers.
        Retry: it stops answering.
        Stop: there are no topics, or the store cannot be read.
    """
    scope = scope or Scope()
    Admin(settings).partition_count(FUSED.name(settings.prefix))
    schemas = SchemaTopic(settings, announce=False).book
    with Reader(settings, client_id="framefuse-audit") as reader:
        stored = StoredCounts(datetime.now(UTC), scope.store_patience)
        this = _Audit(settings, scope, reader, schemas, stored)
        fused = this.bounds(FUSED.suffix)
        # After those of `fused`: every frame with an outcome is then below its end.
        frames = this.bounds(FRAMES.suffix)
        begin = this.since(FUSED.suffix, scope.since)
        to_read = {
            number: at._replace(first=max(at.first, begin.get(number, 0)))
            for number, at in fused.items()
            if number in frames
        }
        parts = _open(this, frames, fused, to_read)
        total = sum(at.next - at.first for at in to_read.values())
        for done, message in enumerate(this.within(FUSED.suffix, to_read), start=1):
            parts[message.partition].enter(message, schemas)
            if done % _TELL_EVERY == 0:
                progress(done, total)
        for part in parts.values():
            _look_for_halves(this, part)
        books = [part.books for part in parts.values()]
        heads = _heads(this, frames, unsettled(books, stream=scope.stream))
        closed = close(books, this.tally, heads, stream=scope.stream)
    return replace(
        closed,
        late=sum(part.halves.late for part in parts.values()),
        stored=this.stored if scope.store else None,
    )


def _open(
    this: _Audit, frames: Mapping[int, Bounds], fused: Mapping[int, Bounds], to_read: Mapping[int, Bounds]
) -> dict[int, _Part]:
    since = this.since(FRAMES.suffix, this.scope.since, margin=timedelta())
    stored, parts = _stored_rows(this), {}
    for number in sorted(frames):
        there, read = fused.get(number, Bounds(0, 0)), to_read.get(number, Bounds(0, 0))
        books = PartitionBooks(
            number,
            frames[number],
            # What `since` leaves unread is there: only retention makes the first outcome the horizon.
            fused_complete=there.first == 0 or read.first != there.first,
            tally=this.tally,
            stream=this.scope.stream,
            since=since.get(number, 0),
        )
        parts[number] = _Part(books, Halves(number, this.scope.stream), _store_books(this, books, stored))
    return parts


def _stored_rows(this: _Audit) -> OpenRows | None:
    """Opens the rows of the store; None where none is compared, and then nothing is asked."""
    if this.scope.store is None:
        return None
    topic = this.name(FRAMES.suffix)
    return partial(this.scope.store.rows, Admin(this.settings).topic_ids([topic])[topic])


def _store_books(this: _Audit, books: PartitionBooks, rows: OpenRows | None) -> StoreBooks | None:
    if rows is None:
        return None
    return StoreBooks(
        books.partition,
        rows,
        counts=this.stored,
        accuse=books.note,
        stream=this.scope.stream,
    )


def _look_for_halves(this: _Audit, part: _Part) -> None:
    """Read a side from where its record would be, up to the last frame that went on without it."""
    number = part.books.partition
    for side, since, last in part.halves.wanted():
        suffix, kind = _SIDES[side]
        there = this.bounds(suffix).get(number)
        begin = this.since(suffix, since).get(number)
        if there is None or begin is None:
            continue
        for message in this.within(suffix, {number: there._replace(first=max(there.first, begin))}):
            with suppress(NotARecord):
                head = decode_head(message.value, kind, this.schemas)
                offender = part.halves.found(side, head)
                if offender is not None:
                    part.books.note(offender)
                if head.frame.offset >= last:
                    break


def _heads(
    this: _Audit, frames: Mapping[int, Bounds], places: Iterable[Place]
) -> Iterator[tuple[Place, Head | None]]:
    """The heads of these frames; None of one that retention has removed or that cannot be decoded."""
    for number, offsets in runs(places):
        told = offsets.start
        there = Bounds(max(told, frames[number].first), offsets.stop)
        for message in this.within(FRAMES.suffix, {number: there}):
            yield from ((Place(number, gone), None) for gone in range(told, message.offset))
            yield Place(number, message.offset), _head(message, this.schemas)
            told = message.offset + 1
        yield from ((Place(number, gone), None) for gone in range(told, offsets.stop))


def _head(message: Message, schemas: SchemaBook) -> Head | None:
    try:
        return decode_head(message.value, Head, schemas)
    except NotARecord:
        return None
