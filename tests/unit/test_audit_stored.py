"""A store of results against the topic: each difference is found, and only where it is."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st

from framefuse.audit.halves import Halves
from framefuse.audit.offences import Offence, Offender
from framefuse.audit.stored import StoreBooks, StoredCounts, StoredRow
from schemas.heads import DepthHead, FusedHead
from schemas.records import FrameRef, Missing, Outcome, Side, Status
from tests.unit.builders import START, at, origin_at


def a_head(offset: int, outcome: Outcome = Outcome.FUSED, *, live: bool = False, why: str = "") -> FusedHead:
    missing = (Missing(Side.DEPTH, why),) if why else ()
    return FusedHead(**origin_at(offset, live=live).head(), outcome=outcome, missing=missing)


def a_row(offset: int, outcome: str = "FUSED") -> StoredRow:
    head = a_head(offset)
    return StoredRow(offset, head.frame_id, head.stream_id, head.sequence, head.attempt, outcome)


def compared(
    topic: Iterable[int],
    store: Sequence[StoredRow],
    *,
    stream: str | None = None,
    looked_at: datetime = START,
) -> tuple[StoredCounts, list[tuple[Offence, int]]]:
    counts, found = StoredCounts(looked_at), list[Offender]()

    def rows(first: FrameRef) -> Iterator[StoredRow]:
        begin = max((row.offset for row in store if row.offset <= first.offset), default=0)
        return (row for row in store if row.offset >= begin)

    books = StoreBooks(0, rows, counts=counts, accuse=found.append, stream=stream)
    for offset in topic:
        books.add(a_head(offset), at(offset))
    return counts, [(one.offence, one.place.offset) for one in found]


def test_a_store_that_follows_the_topic_is_no_offence_and_says_how_far_it_is() -> None:
    counts, found = compared(range(10), [a_row(offset) for offset in range(7)])
    assert found == []
    assert (counts.stored, counts.pending) == (7, 3)


def test_a_store_is_overdue_once_its_oldest_missing_result_is_older_than_a_store_at_work_leaves_it() -> None:
    def overdue(frames: int, looked_at: datetime) -> bool:
        rows = [a_row(offset) for offset in range(7)]
        return compared(range(frames), rows, looked_at=looked_at)[0].overdue

    assert not overdue(10, at(7 + 299))
    assert overdue(10, at(7 + 301))
    assert not overdue(7, at(3600))


def test_rows_that_retention_has_removed_from_the_topic_may_stay_in_the_store() -> None:
    counts, found = compared(range(5, 8), [a_row(offset) for offset in range(8)])
    assert found == []
    assert counts.stored == 3


def test_a_store_is_read_from_the_first_outcome_that_the_topic_still_has() -> None:
    """And not from the first frame, which retention may have taken long after: `fused` is kept for longer."""
    asked: list[int] = []

    def rows(first: FrameRef) -> Iterator[StoredRow]:
        asked.append(first.offset)
        return iter([a_row(offset) for offset in range(8)])

    books = StoreBooks(0, rows, counts=StoredCounts(START), accuse=lambda offender: None)
    assert asked == []
    for offset in (2, 3, 4):
        books.add(a_head(offset), at(offset))
    assert asked == [2]


def test_each_difference_is_named() -> None:
    rows = [a_row(0), a_row(1, "PARTIAL"), a_row(2), a_row(2), a_row(4), a_row(6)]
    _, found = compared([0, 1, 2, 3, 6], rows)
    assert found == [
        (Offence.STORED_DIFFERENTLY, 1),
        (Offence.STORED_TWICE, 2),
        (Offence.NOT_STORED, 3),
        (Offence.ONLY_STORED, 4),
    ]


def test_of_another_stream_nothing_is_counted_or_accused() -> None:
    counts, found = compared([0, 1, 3], [a_row(0), a_row(0), a_row(2), a_row(3)], stream="yard")
    assert found == []
    assert (counts.stored, counts.pending) == (0, 0)


@given(
    topic=st.sets(st.integers(0, 30)),
    stored=st.lists(st.tuples(st.integers(0, 30), st.integers(1, 2)), unique_by=lambda row: row[0]),
)
def test_what_is_found_is_what_two_sets_differ_in(topic: set[int], stored: list[tuple[int, int]]) -> None:
    rows = [a_row(offset) for offset, times in sorted(stored) for _ in range(times)]
    there = {offset for offset, _ in stored}
    counts, found = compared(sorted(topic), rows)
    end = max(there, default=-1)
    assert counts.stored == len(topic & there)
    assert counts.pending == len([offset for offset in topic if offset > end])
    missing = {offset for offence, offset in found if offence is Offence.NOT_STORED}
    assert missing == {offset for offset in topic - there if offset < end}
    only = {offset for offence, offset in found if offence is Offence.ONLY_STORED}
    assert only <= there - topic
    assert {
        offset for offset in there - topic if min(topic, default=99) < offset < max(topic, default=0)
    } <= only


def half(offset: int, status: Status = Status.OK) -> DepthHead:
    return DepthHead(**origin_at(offset).head(), status=status)


def test_a_file_that_went_on_without_a_half_that_is_there_is_an_offender() -> None:
    halves = Halves(0)
    halves.add(a_head(3, Outcome.PARTIAL, why="lost: no record"), 7)
    assert [(side, last) for side, _, last in halves.wanted()] == [(Side.DEPTH, 3)]
    offender = halves.found(Side.DEPTH, half(3))
    assert offender is not None
    assert (offender.offence, offender.fused_offset) == (Offence.HALF_LEFT_OUT, 7)
    assert halves.found(Side.DEPTH, half(2)) is None


def test_a_live_frame_whose_half_came_late_is_counted_and_no_offender() -> None:
    halves = Halves(0)
    halves.add(a_head(3, Outcome.PARTIAL, live=True, why="late: timed out"), 7)
    assert halves.found(Side.DEPTH, half(3)) is None
    assert halves.late == 1


def test_a_live_frame_that_went_on_without_a_half_that_its_side_had_told_is_an_offender() -> None:
    """It did not time out: the join says that the side had passed it without a word."""
    halves = Halves(0)
    halves.add(a_head(3, Outcome.PARTIAL, live=True, why="lost: no record"), 7)
    assert halves.found(Side.DEPTH, half(3)) is not None
    assert halves.late == 0


def test_a_side_that_told_why_it_has_no_result_is_not_looked_for() -> None:
    halves = Halves(0)
    halves.add(a_head(3, Outcome.PARTIAL, why="expired: 600 ms old, budget 500 ms"), 7)
    halves.add(a_head(4, Outcome.PARTIAL, why="failed: no picture"), 8)
    halves.add(a_head(5), 9)
    assert list(halves.wanted()) == []
