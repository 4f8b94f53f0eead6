"""The books of an audit: each kind of offence is found, and only where it is."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framefuse.audit.books import Books, Bounds, PartitionBooks, close, runs, unsettled
from framefuse.audit.ledger import Tally
from framefuse.audit.offences import OFFENDERS_NAMED, Offence, Place
from schemas.heads import FusedHead
from schemas.records import UNREADABLE, Head, Outcome
from tests.unit.builders import origin_at


def audited(
    outcomes: Iterable[int],
    *,
    frames: tuple[int, int] = (0, 10),
    fused_first: int = 0,
    stream: str | None = None,
    streams: dict[int, str] | None = None,
) -> Books:
    """The books of one partition whose `fused` tells of these frames, in this order."""
    streams = streams or {}
    tally = Tally()
    part = PartitionBooks(0, Bounds(*frames), fused_complete=not fused_first, tally=tally, stream=stream)
    for at, frame in enumerate(outcomes, start=fused_first):
        head = origin_at(frame, stream=streams.get(frame, "gate")).head()
        part.add(FusedHead(**head, outcome=Outcome.FUSED), at)
    heads: list[tuple[Place, Head | None]] = [
        (place, origin_at(place.offset, stream=streams.get(place.offset, "gate")))
        if place.offset >= frames[0]
        else (place, None)
        for place in unsettled([part], stream=stream)
    ]
    return close([part], tally, heads, stream=stream)


def found(books: Books) -> list[tuple[Offence, int]]:
    return [(offender.offence, offender.place.offset) for offender in books.offenders]


def test_one_outcome_a_frame_in_order_balances() -> None:
    books = audited(range(10))

    assert books.balanced
    assert books.ledger.in_words() == "10 published = 10 fused"


def test_frames_after_the_last_outcome_are_in_flight_and_no_offence() -> None:
    books = audited(range(7))

    assert books.balanced
    assert books.ledger.in_flight == 3


def test_frames_in_flight_that_retention_has_removed_are_told() -> None:
    """They become lost with the next frame; until then nobody should wait for them in vain."""
    books = audited(range(4), frames=(7, 10))

    assert books.balanced
    assert (books.ledger.in_flight, books.in_flight_removed) == (6, 3)
    assert audited(range(8), frames=(7, 10)).in_flight_removed == 0


def test_frames_of_others_that_retention_has_removed_are_not_in_flight_for_a_stream() -> None:
    """Whose they were cannot be known, so they are told, and not counted as its own."""
    books = audited(range(4), frames=(7, 10), stream="gate", streams={8: "yard"})

    assert (books.ledger.published, books.ledger.in_flight, books.in_flight_removed) == (6, 2, 3)


def test_nothing_published_balances() -> None:
    assert audited([], frames=(0, 0)).balanced


def test_a_frame_that_was_passed_over_is_missing_and_named() -> None:
    books = audited([0, 1, 2, 4, 5, 7])

    assert not books.balanced
    assert found(books) == [(Offence.MISSING, 3), (Offence.MISSING, 6)]
    assert (books.offenders[0].stream_id, books.offenders[0].sequence) == ("gate", 3)
    assert books.ledger.difference == 2


def test_a_frame_passed_over_at_the_very_start_is_missing() -> None:
    assert found(audited([2, 3])) == [(Offence.MISSING, 0), (Offence.MISSING, 1)]


def test_a_second_outcome_is_a_duplicate_and_counts_once() -> None:
    books = audited([0, 1, 1, 2])

    assert found(books) == [(Offence.DUPLICATED, 1)]
    assert books.offenders[0].fused_offset == 2
    assert books.ledger.settled == 3


def test_a_frame_after_a_later_one_is_out_of_order_but_not_missing() -> None:
    books = audited([0, 2, 1, 3])

    assert found(books) == [(Offence.OUT_OF_ORDER, 1)]
    assert books.ledger.in_words() == "10 published = 4 fused + 6 in flight"


def test_an_outcome_of_a_frame_that_never_was_is_an_offence() -> None:
    books = audited([0, 99])

    assert found(books) == [(Offence.UNKNOWN_FRAME, 99)]
    assert books.ledger.settled == 1


def test_an_outcome_in_another_partition_than_its_frame_is_an_offence() -> None:
    part = PartitionBooks(0, Bounds(0, 10), fused_complete=True, tally=Tally())

    part.add(FusedHead(**origin_at(0, partition=1).head(), outcome=Outcome.FUSED), 0)

    assert part.offences == {Offence.UNKNOWN_FRAME: 1}
    assert part.offenders[0].place == Place(1, 0)


def test_a_record_that_cannot_be_decoded_is_an_offence() -> None:
    tally = Tally()
    part = PartitionBooks(0, Bounds(0, 1), fused_complete=True, tally=tally)

    part.add_unreadable(0)

    assert not close([part], tally, []).balanced


def test_outcomes_of_frames_that_retention_has_removed_still_count() -> None:
    books = audited(range(10), frames=(8, 10))

    assert books.balanced
    assert books.ledger.published == 10


def test_a_removed_frame_that_was_passed_over_is_missing_without_a_name() -> None:
    books = audited([0, 1, 3], frames=(8, 10))

    assert books.offenders[0].place == Place(0, 2)
    assert books.offenders[0].stream_id is None


def test_frames_whose_outcomes_retention_has_removed_are_not_counted() -> None:
    books = audited([6, 7, 8], frames=(0, 10), fused_first=6)

    assert books.balanced
    assert books.horizons == {0: 6}
    assert books.ledger.in_words() == "4 published = 3 fused + 1 in flight"


def test_frames_removed_before_the_first_outcome_ever_are_not_counted() -> None:
    books = audited([5, 6], frames=(5, 10))

    assert books.balanced
    assert books.ledger.published == 5


def test_the_books_of_one_stream_leave_out_the_others() -> None:
    streams = {frame: "gate" if frame % 2 else "yard" for frame in range(10)}

    books = audited([0, 1, 2, 4, 5], stream="gate", streams=streams)

    assert found(books) == [(Offence.MISSING, 3)]
    assert books.ledger.counts()["published"] == 5
    assert (books.ledger.settled, books.ledger.in_flight) == (2, 2)


def test_what_nobody_could_read_is_told_in_the_books_of_a_stream_for_it_may_be_its_own() -> None:
    streams = {1: UNREADABLE, 2: "yard", 3: UNREADABLE}

    books = audited(range(6), frames=(0, 6), stream="gate", streams=streams)

    assert books.balanced
    assert (books.ledger.published, books.unattributed) == (3, 2)
    assert audited(range(6), frames=(0, 6), streams=streams).unattributed == 0


def test_another_streams_offence_leaves_a_stream_balanced() -> None:
    streams = {3: "yard"}

    assert audited([0, 1, 2, 4], stream="gate", streams=streams).balanced
    assert not audited([0, 1, 2, 4], stream="yard", streams=streams).balanced


def test_only_the_first_offenders_are_named_and_all_are_counted() -> None:
    books = audited([99], frames=(0, 100))

    assert len(books.offenders) == OFFENDERS_NAMED
    assert books.offences == {Offence.MISSING: 99}


@given(st.lists(st.integers(0, 19), max_size=40))
def test_an_audit_agrees_with_plain_counting(outcomes: list[int]) -> None:
    books = audited(outcomes, frames=(0, 20))

    last = max(outcomes, default=-1)
    firsts = [frame for at, frame in enumerate(outcomes) if frame not in outcomes[:at]]
    late = [frame for at, frame in enumerate(firsts) if any(frame < before for before in firsts[:at])]
    assert books.offences.get(Offence.MISSING, 0) == last + 1 - len(set(outcomes))
    assert books.offences.get(Offence.DUPLICATED, 0) == len(outcomes) - len(set(outcomes))
    assert books.offences.get(Offence.OUT_OF_ORDER, 0) == len(late)
    assert books.ledger.settled == len(set(outcomes))
    assert books.ledger.in_flight == 19 - last
    assert books.balanced == (outcomes == list(range(len(outcomes))))


@pytest.mark.parametrize(
    ("offsets", "expected"),
    [([], []), ([3], [range(3, 4)]), ([3, 4, 5, 9, 10], [range(3, 6), range(9, 11)])],
)
def test_runs_bring_neighbours_together(offsets: list[int], expected: list[range]) -> None:
    assert list(runs(Place(2, offset) for offset in offsets)) == [(2, run) for run in expected]


def test_runs_do_not_cross_partitions() -> None:
    places = [Place(0, 1), Place(1, 2), Place(1, 3)]

    assert list(runs(places)) == [(0, range(1, 2)), (1, range(2, 4))]
