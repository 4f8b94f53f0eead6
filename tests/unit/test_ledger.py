"""The ledger: every published frame is in exactly one line of it."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framefuse.audit.ledger import Ledger, Tally
from schemas.heads import FusedHead
from schemas.records import Missing, Outcome, Side
from tests.unit.builders import origin_at


def an_outcome(frame: int, outcome: Outcome = Outcome.FUSED, *, of: int | None = None) -> FusedHead:
    """How the frame record at this offset ended; `of` is the frame that it replays."""
    head = FusedHead(**origin_at(frame).head(), outcome=outcome)
    if of is None:
        return head
    return replace(head, frame_id=origin_at(of).frame_id, attempt=head.attempt + 1)


def test_published_is_the_sum_of_the_outcomes_and_of_what_is_in_flight() -> None:
    tally = Tally()
    for frame, outcome in enumerate([Outcome.FUSED, Outcome.FUSED, Outcome.PARTIAL, Outcome.LOST]):
        tally.add(an_outcome(frame, outcome))

    ledger = tally.ledger(records=6, in_flight=2)

    assert ledger.difference == 0
    assert ledger.counts() == {
        "published": 6,
        "fused": 2,
        "partial": 1,
        "expired": 0,
        "dead_letter": 0,
        "lost": 1,
        "in_flight": 2,
    }


def test_a_replay_takes_the_place_of_the_dead_letter_it_repeats() -> None:
    tally = Tally()
    tally.add(an_outcome(0, Outcome.DEAD_LETTER))
    tally.add(an_outcome(1, of=0))

    ledger = tally.ledger(records=2, in_flight=0)

    assert (ledger.published, ledger.outcomes) == (1, {Outcome.FUSED: 1})


@pytest.mark.parametrize("outcome", [Outcome.PARTIAL, Outcome.EXPIRED])
def test_a_replay_of_a_frame_whose_side_failed_after_it_was_decided_is_one_frame(outcome: Outcome) -> None:
    """It left a letter, though it did not end as one."""
    tally = Tally()
    late = (Missing(Side.DEPTH, "late: timed out"),)
    tally.add(replace(an_outcome(0, outcome), missing=late))
    tally.add(an_outcome(1, of=0))

    ledger = tally.ledger(records=2, in_flight=0)

    assert (ledger.published, ledger.outcomes) == (1, {Outcome.FUSED: 1})


def test_a_frame_that_is_published_again_is_another_one_and_no_replay() -> None:
    tally = Tally()
    late = (Missing(Side.DEPTH, "late: timed out"),)
    tally.add(replace(an_outcome(0, Outcome.PARTIAL), missing=late))
    tally.add(replace(an_outcome(1, of=0), attempt=0))

    ledger = tally.ledger(records=2, in_flight=0)

    assert (ledger.published, ledger.outcomes) == (2, {Outcome.PARTIAL: 1, Outcome.FUSED: 1})


def test_a_replay_that_fails_again_is_still_one_frame() -> None:
    tally = Tally()
    tally.add(an_outcome(0, Outcome.DEAD_LETTER))
    tally.add(an_outcome(1, Outcome.DEAD_LETTER, of=0))
    tally.add(replace(an_outcome(2, of=0), attempt=2))

    ledger = tally.ledger(records=3, in_flight=0)

    assert (ledger.published, ledger.outcomes) == (1, {Outcome.FUSED: 1})


def test_the_latest_attempt_counts_even_when_it_is_read_first() -> None:
    tally = Tally()
    tally.add(an_outcome(1, of=0))
    tally.add(an_outcome(0, Outcome.DEAD_LETTER))

    assert tally.ledger(records=2, in_flight=0).outcomes == {Outcome.FUSED: 1}


@given(st.lists(st.tuples(st.sampled_from(Outcome), st.integers(0, 3)), max_size=30), st.randoms())
def test_the_books_balance_whatever_is_replayed_and_in_whatever_order_it_is_read(
    frames: list[tuple[Outcome, int]], order: Random
) -> None:
    records = []
    for frame, (last, replays) in enumerate(frames):
        ends = [Outcome.DEAD_LETTER] * replays + [last]
        records += [replace(an_outcome(frame, end), attempt=attempt) for attempt, end in enumerate(ends)]
    order.shuffle(records)
    tally = Tally()
    for record in records:
        tally.add(record)

    ledger = tally.ledger(len(records), in_flight=0)

    assert ledger.difference == 0
    assert ledger.published == len(frames)
    assert ledger.outcomes == {
        outcome: count for outcome in Outcome if (count := sum(end is outcome for end, _ in frames))
    }


def test_in_words_leaves_out_zeros_and_names_what_is_unaccounted_for() -> None:
    assert Ledger(1200, {Outcome.FUSED: 1180, Outcome.DEAD_LETTER: 5}, 12).in_words() == (
        "1,200 published = 1,180 fused + 5 dead letter + 12 in flight + 3 unaccounted for"
    )
    assert Ledger().in_words() == "0 published = nothing yet"
