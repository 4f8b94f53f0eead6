from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from framefuse.errors import UnreadableImage
from framefuse.pictures.decoding import Values, decode_map, encode_map, stats_of
from schemas.records import DepthKind, DepthStats

MAPS = arrays(
    np.float32,
    array_shapes(min_dims=2, max_dims=2, max_side=12),
    elements=st.one_of(
        st.floats(-1e6, 1e6, width=32), st.sampled_from([float("nan"), float("inf"), float("-inf")])
    ),
)
LEVELS = st.sampled_from([0, 1])
STEPS = st.sampled_from([0.0, 0.001, 0.5])


@given(values=MAPS, level=LEVELS, step=STEPS)
def test_every_value_comes_back_within_half_a_step(values: Values, level: int, step: float) -> None:
    kept = encode_map(values, DepthKind.METRIC, "m", step=step, level=level)
    back = decode_map(kept)
    valid = np.isfinite(values)
    np.testing.assert_array_equal(np.isfinite(back), valid)
    error = np.abs(back[valid].astype(np.float64) - values[valid])
    rounding = np.spacing(np.abs(values[valid]))
    assert (error <= kept.scale / 2 * (1 + 1e-9) + rounding).all()


@given(values=MAPS)
def test_the_step_is_the_coarser_of_what_is_asked_and_what_fits_16_bits(values: Values) -> None:
    valid = values[np.isfinite(values)]
    spread = float(valid.max()) - float(valid.min()) if valid.size else 0.0
    kept = encode_map(values, DepthKind.METRIC, "m", step=0.25)
    assert not valid.size or kept.scale == pytest.approx(max(0.25, spread / 65_534))


def test_a_map_without_a_value_comes_back_without_a_value() -> None:
    nothing = np.full((3, 5), np.nan, np.float32)
    assert np.isnan(decode_map(encode_map(nothing, DepthKind.METRIC, "m"))).all()
    assert stats_of(nothing) == DepthStats(0.0, 0.0, 0.0, 0.0)


def test_a_flat_map_comes_back_exactly() -> None:
    flat = np.full((3, 5), 7.25, np.float32)
    np.testing.assert_array_equal(decode_map(encode_map(flat, DepthKind.RELATIVE_INVERSE, "")), flat)


def test_any_png_reader_gets_the_values_by_the_formula_of_the_schema() -> None:
    values = np.array([[1.0, 2.0, np.inf]], np.float32)
    kept = encode_map(values, DepthKind.METRIC, "m")
    pixels = cv2.imdecode(np.frombuffer(kept.data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    assert pixels.dtype == np.uint16
    assert pixels.tolist() == [[1, 65_535, 0]]
    np.testing.assert_allclose(pixels[0, :2] * kept.scale + kept.offset, [1.0, 2.0], rtol=1e-9)


def test_stats_are_over_the_valid_values_only() -> None:
    values = np.array([[1.0, 3.0], [8.0, np.nan]], np.float32)
    assert stats_of(values) == DepthStats(1.0, 3.0, 8.0, 0.75)


def test_a_map_that_is_not_what_it_says_is_refused() -> None:
    kept = encode_map(np.ones((4, 6), np.float32), DepthKind.METRIC, "m")
    with pytest.raises(UnreadableImage, match="is 6×4, its record says 7×4"):
        decode_map(replace(kept, width=7))
    eight_bits = cv2.imencode(".png", np.ones((4, 6), np.uint8))[1].tobytes()
    with pytest.raises(UnreadableImage, match="not a 16-bit grey PNG"):
        decode_map(replace(kept, data=eight_bits))
    with pytest.raises(UnreadableImage, match="zero bytes"):
        decode_map(replace(kept, data=b""))
