"""Pictures of one size go through a model together, wherever they stand in the batch."""

from hypothesis import given
from hypothesis import strategies as st

from processors.runs import runs_of_one_size


def test_pictures_of_two_cameras_in_turn_are_two_runs_and_not_one_each() -> None:
    assert list(runs_of_one_size(["a", "b", "a", "b", "a"], 2)) == [[0, 2], [4], [1, 3]]


@given(st.lists(st.sampled_from("abc"), max_size=30), st.integers(1, 9))
def test_every_picture_is_in_one_run_of_its_size(sizes: list[str], most: int) -> None:
    runs = list(runs_of_one_size(sizes, most))
    assert sorted(place for places in runs for place in places) == list(range(len(sizes)))
    for places in runs:
        assert len({sizes[place] for place in places}) == 1
        assert len(places) <= most
        assert list(places) == sorted(places)
