"""Whether what a store of results holds is what `fused` says, row by row. Pure.

Both are sorted by frame within a partition, so they are compared as two sorted lists, each read once.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from framefuse.audit.offences import Offence, Offender, Place
from schemas.heads import FusedHead
from schemas.records import FrameRef, Outcome


class StoredRow(NamedTuple):
    """One row of a store of results, as far as it says which frame, and how it ended."""

    offset: int
    """Of the frame in `frames`."""
    frame_id: str
    stream_id: str
    sequence: int
    attempt: int
    outcome: str


class StoredRows(Protocol):
    """A store of results that can be read again."""

    def rows(self, frames_topic_id: str, first: FrameRef) -> Iterator[StoredRow]:
        """The rows of one partition, from a frame on or some before it, in order.

        Args:
            frames_topic_id: of the topic of frames; results of another life of it are left out.
            first: a frame, as its result names it.
        """


OpenRows = Callable[[FrameRef], Iterator[StoredRow]]
"""Opens the rows of one partition from a frame on, see `StoredRows.rows`."""
OpenStoredRows = Callable[[str], StoredRows]
"""What an entry point of `framefuse.stored_rows` is: called with the address of the store."""


WITHIN = timedelta(minutes=5)
"""A store that is at work has a result within this time and the longest that a file may take to fill."""


@dataclass(slots=True)
class StoredCounts:
    """How much of what is in `fused` is in the store."""

    looked_at: datetime
    """When the end of `fused` was fixed: an audit may take longer than a store is given."""
    patience: timedelta = WITHIN
    """How long a result may be on its way into the store."""
    stored: int = 0
    pending: int = 0
    """After the last row: the store will have them."""
    oldest_pending: datetime | None = None
    """When the first of those was told in `fused`."""

    @property
    def oldest_age(self) -> timedelta:
        """How long before `looked_at` the oldest of them was told; 0 where there is none."""
        return self.looked_at - (self.oldest_pending or self.looked_at)

    @property
    def overdue(self) -> bool:
        """Whether the store should have had the oldest of them by then."""
        return self.oldest_age > self.patience


class StoreBooks:
    """Compares one partition; feed it `fused` in order."""

    def __init__(
        self,
        partition: int,
        rows: OpenRows,
        *,
        counts: StoredCounts,
        accuse: Callable[[Offender], None],
        stream: str | None = None,
    ) -> None:
        """Begin.

        Args:
            partition: its number.
            rows: opens those of the store from a frame on, in order; asked for once, with the first outcome.
            counts: takes the counts; may be shared by partitions.
            accuse: takes what is wrong.
            stream: count and accuse only this stream.
        """
        self._partition, self._open, self._stream = partition, rows, stream
        self._counts, self._accuse = counts, accuse
        self._rows: Iterator[StoredRow] | None = None
        self._next: StoredRow | None = None

    def add(self, head: FusedHead, told_at: datetime) -> None:
        """Take the next outcome of `fused`, and when it was told there."""
        frame = head.frame.offset
        rows = self._rows = self._rows or self._begin(head.frame)
        while self._next is not None and self._next.offset < frame:
            self._blame(Offence.ONLY_STORED, self._next)
            self._next = next(rows, None)
        if self._stream not in (None, head.stream_id):
            return
        expected = _row_of(head)
        if self._next is None:
            self._counts.pending += 1
            self._counts.oldest_pending = min(self._counts.oldest_pending or told_at, told_at)
        elif self._next.offset > frame:
            self._blame(Offence.NOT_STORED, expected)
        else:
            self._counts.stored += 1
            if self._next != expected:
                self._blame(Offence.STORED_DIFFERENTLY, expected)
            self._pass(frame, rows)

    def _begin(self, first: FrameRef) -> Iterator[StoredRow]:
        """The rows from the first outcome on: what was before it, retention may have taken from `fused`."""
        rows = self._open(first)
        self._next = next((row for row in rows if row.offset >= first.offset), None)
        return rows

    def _pass(self, frame: int, rows: Iterator[StoredRow]) -> None:
        """Go on after the row of this frame; each further one is one too many."""
        self._next = next(rows, None)
        while self._next is not None and self._next.offset == frame:
            self._blame(Offence.STORED_TWICE, self._next)
            self._next = next(rows, None)

    def _blame(self, offence: Offence, row: StoredRow) -> None:
        if self._stream in (None, row.stream_id):
            place = Place(self._partition, row.offset)
            self._accuse(Offender(offence, place, None, row.stream_id, row.sequence))


def _row_of(head: FusedHead) -> StoredRow:
    return StoredRow(
        head.frame.offset,
        head.frame_id,
        head.stream_id,
        head.sequence,
        head.attempt,
        Outcome(head.outcome).value,
    )
