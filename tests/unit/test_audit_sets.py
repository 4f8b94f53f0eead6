"""What an audit remembers of millions of frames in a few bytes each, against plain sets and dicts."""

from hypothesis import given
from hypothesis import strategies as st

from framefuse.audit import lettered
from framefuse.audit.lettered import Lettered
from framefuse.audit.offsets import Offsets
from schemas.records import Outcome


@given(st.sets(st.integers(0, 100_000)), st.sets(st.integers(0, 100_000)))
def test_a_set_of_offsets_has_what_was_put_in_and_nothing_else(put: set[int], others: set[int]) -> None:
    offsets = Offsets()
    for offset in put:
        offsets.add(offset)
    assert {offset for offset in put | others if offset in offsets} == put


def test_many_outcomes_are_found_again_in_any_order() -> None:
    ended = Lettered()
    outcomes = (Outcome.DEAD_LETTER, Outcome.PARTIAL, Outcome.EXPIRED)
    for number in range(200_000):
        ended.add(f"frame-{number * 7919 % 200_000}", outcomes[number * 7919 % 200_000 % 3])
    assert all(ended.get(f"frame-{number}") is outcomes[number % 3] for number in range(0, 200_000, 97))
    assert not any(ended.get(f"other-{number}") for number in range(1000))


def test_a_dead_letter_is_found_before_another_outcome_of_the_same_frame() -> None:
    for outcomes in ((Outcome.DEAD_LETTER, Outcome.PARTIAL), (Outcome.PARTIAL, Outcome.DEAD_LETTER)):
        ended = Lettered()
        for outcome in outcomes:
            ended.add("a", outcome)
            for number in range(lettered._RECENT):
                ended.add(f"frame-{number}", Outcome.PARTIAL)
        assert ended.get("a") is Outcome.DEAD_LETTER


def test_whoever_counts_for_ever_remembers_a_limited_number() -> None:
    ended = Lettered(most=100_000)
    for number in range(500_000):
        ended.add(f"frame-{number}", Outcome.PARTIAL)
    assert len(ended) <= 100_000 + lettered._RECENT
    assert ended.get("frame-499999") is Outcome.PARTIAL
    assert ended.get("frame-0") is None
