"""Where the stage `statistics` would read on after a crash."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from processors.statistics.progress import Progress


def test_nothing_is_known_before_the_first_fetch() -> None:
    assert Progress().position is None


def test_reading_goes_on_at_the_first_record_that_is_not_done() -> None:
    progress = Progress()
    progress.fetched([3, 5, 7], reached=9)
    progress.done(3)
    progress.done(7)

    assert (progress.position, len(progress)) == (5, 1)


def test_markers_of_transactions_are_passed_once_all_before_them_is_done() -> None:
    progress = Progress()
    progress.fetched([3], reached=5)
    progress.done(3)
    assert progress.position == 5

    progress.fetched([], reached=8)  # nothing but markers
    assert progress.position == 8


def test_what_is_done_twice_or_was_never_fetched_changes_nothing() -> None:
    progress = Progress()
    progress.fetched([3, 4], reached=5)
    for offset in (3, 3, 9):
        progress.done(offset)

    assert (progress.position, len(progress)) == (4, 1)


@given(st.data())
def test_no_record_is_passed_before_it_is_done_and_none_is_kept_after(data: st.DataObject) -> None:
    """Whatever lies between the records, and in whatever order they are done."""
    progress, gaps = Progress(), data.draw(st.lists(st.integers(1, 4), max_size=60))
    offsets = [sum(gaps[:number]) for number in range(1, len(gaps) + 1)]
    for start in range(0, len(offsets), 7):
        batch = offsets[start : start + 7]
        progress.fetched(batch, reached=batch[-1] + 2)
    waiting = Counter(offsets)
    for offset in data.draw(st.permutations(offsets)):
        assert progress.position == min(waiting)
        progress.done(offset)
        del waiting[offset]

    assert len(progress) == 0
    assert progress.position == (offsets[-1] + 2 if offsets else None)
