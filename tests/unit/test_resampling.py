import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framefuse.pictures.resampling import Filter, resample
from framefuse.types import Image

PATTERN: Image = ((np.arange(7 * 9 * 3) * 83) % 256).astype(np.uint8).reshape(7, 9, 3)
SIDES = st.integers(1, 200)


@pytest.mark.parametrize(
    ("how", "green"),
    [
        (Filter.BILINEAR, [[78, 136, 158, 144], [129, 129, 129, 115], [100, 113, 178, 166]]),
        (Filter.BICUBIC, [[73, 138, 163, 144], [133, 129, 126, 111], [97, 110, 183, 166]]),
    ],
)
def test_a_picture_shrinks_to_the_numbers_that_torchvision_gives(how: Filter, green: list[list[int]]) -> None:
    assert resample(PATTERN, (4, 3), how)[..., 1].tolist() == green


@pytest.mark.parametrize(
    ("how", "row"), [(Filter.BILINEAR, [37, 79, 184, 171, 160]), (Filter.BICUBIC, [16, 73, 196, 177, 165])]
)
def test_one_side_may_grow_while_the_other_shrinks(how: Filter, row: list[int]) -> None:
    assert resample(PATTERN, (5, 9), how)[1, :, 1].tolist() == row


def test_a_picture_of_that_size_stays_as_it_is() -> None:
    assert resample(PATTERN, (9, 7)) is PATTERN


@settings(max_examples=40, deadline=None)
@given(SIDES, SIDES, SIDES, SIDES, st.sampled_from(Filter))
def test_a_picture_of_one_colour_keeps_it_at_any_size(
    width: int, height: int, to_width: int, to_height: int, how: Filter
) -> None:
    flat = np.full((height, width, 3), (0, 100, 255), np.uint8)
    found = resample(flat, (to_width, to_height), how)
    assert found.shape == (to_height, to_width, 3)
    assert np.abs(found.astype(int) - (0, 100, 255)).max() <= 1


def test_a_large_shrink_whose_sums_pass_what_32_bit_floats_hold_is_exact_too() -> None:
    bright = np.maximum((np.arange(2 * 4000 * 3) ** 2 * 83 // 7) % 256, 200).astype(np.uint8)
    found = resample(bright.reshape(2, 4000, 3), (600, 2)).ravel().astype(np.int64)
    assert (int(found.sum()), int(found @ np.arange(found.size))) == (739_094, 1_330_029_632)
