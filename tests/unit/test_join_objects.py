import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from framefuse.pictures.decoding import Values
from processors.join.objects import depth_under, with_depth
from schemas.records import Box
from tests.unit.builders import an_object

RAMP = np.tile(np.arange(8, dtype=np.float32), (4, 1))
"""4 rows, 8 columns; each value is its column."""


def test_a_box_takes_every_map_pixel_that_it_touches() -> None:
    depth = depth_under(Box(155, 0, 325, 480), RAMP, width=640, height=480)

    assert depth is not None
    assert (depth.p10, depth.median, depth.p90) == pytest.approx((1.0, 2.5, 4.0))


def test_a_box_smaller_than_a_map_pixel_takes_that_pixel() -> None:
    depth = depth_under(Box(400, 100, 400, 100), RAMP, width=640, height=480)

    assert depth is not None
    assert depth.median == depth.p10 == depth.p90 == 5.0


def test_pixels_without_value_count_only_in_the_valid_ratio() -> None:
    values = RAMP.copy()
    values[:3] = np.nan

    depth = depth_under(Box(0, 0, 640, 480), values, width=640, height=480)

    assert depth is not None
    assert depth.valid_ratio == 0.25
    assert depth.median == 3.5


@pytest.mark.parametrize(
    "box",
    [
        Box(-50, 0, 0, 480),
        Box(640, 0, 700, 480),
        Box(0, 480, 640, 500),
        Box(float("nan"), 0, 640, 480),
        Box(0, 0, float("inf"), 480),
    ],
    ids=["left of it", "right of it", "below it", "not a number", "infinite"],
)
def test_a_box_that_is_nowhere_in_the_frame_has_no_depth(box: Box) -> None:
    assert depth_under(box, RAMP, width=640, height=480) is None


def test_a_box_over_no_valid_value_has_no_depth() -> None:
    assert (
        depth_under(Box(0, 0, 640, 480), np.full((4, 8), np.nan, np.float32), width=640, height=480) is None
    )


def test_measuring_leaves_the_map_as_it_was() -> None:
    values = RAMP[:, ::-1].copy()

    depth_under(Box(0, 0, 640, 480), values, width=640, height=480)

    assert np.array_equal(values, RAMP[:, ::-1])


def test_objects_come_by_falling_score() -> None:
    objects = with_depth([an_object(score=0.3), an_object(score=0.8)], RAMP, width=640, height=480)

    assert [found.score for found in objects] == [0.8, 0.3]


@settings(max_examples=100, deadline=None)
@given(
    values=arrays.arrays(
        np.float32,
        st.tuples(st.integers(1, 12), st.integers(1, 12)),
        elements=st.floats(0, 100, width=32) | st.just(np.nan),
    ),
    corners=st.tuples(*[st.floats(-50, 200)] * 4),
)
def test_percentiles_are_those_of_numpy(values: Values, corners: tuple[float, float, float, float]) -> None:
    (left, right), (top, bottom) = sorted(corners[:2]), sorted(corners[2:])
    height, width = values.shape

    depth = depth_under(Box(left, top, right, bottom), values, width=width, height=height)

    rows, columns = (
        np.clip([np.floor(a), np.ceil(b)], 0, 99).astype(int) for a, b in ((top, bottom), (left, right))
    )
    crop = values[slice(*rows), slice(*columns)].astype(np.float64)
    if depth is None:
        assert not np.isfinite(crop).any()
    elif crop.size:
        expected = np.nanpercentile(crop, [10, 50, 90])
        assert (depth.p10, depth.median, depth.p90) == pytest.approx(expected, abs=1e-4)
