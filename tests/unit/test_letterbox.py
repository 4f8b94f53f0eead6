import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.detection.letterbox import GREY, letterbox, place

SIDES = st.integers(1, 5000)
CANVASES = st.sampled_from([(320, 192), (640, 640), (640, 384), (33, 97)])


@given(width=SIDES, height=SIDES, canvas=CANVASES)
def test_the_picture_lies_inside_the_canvas_in_its_middle(
    width: int, height: int, canvas: tuple[int, int]
) -> None:
    placed = place((width, height), canvas)
    right = canvas[0] - placed.left - placed.width
    bottom = canvas[1] - placed.top - placed.height
    assert min(placed.left, placed.top, right, bottom) >= 0
    assert right - placed.left in (0, 1)
    assert bottom - placed.top in (0, 1)
    assert min(right + placed.left, bottom + placed.top) == 0


@given(width=SIDES, height=SIDES, canvas=CANVASES, parts=st.tuples(*[st.floats(0, 1)] * 4))
def test_a_box_of_the_picture_comes_back_to_its_place(
    width: int, height: int, canvas: tuple[int, int], parts: tuple[float, float, float, float]
) -> None:
    placed = place((width, height), canvas)
    box = np.array([parts]) * [width, height, width, height]
    shift = [placed.left, placed.top, placed.left, placed.top]
    scale = [placed.width / width, placed.height / height] * 2
    on_canvas = (box * scale + shift).astype(np.float32)
    np.testing.assert_allclose(placed.invert(on_canvas), box, atol=1e-3 * max(width, height))


def test_boxes_in_the_border_are_clipped_to_the_picture() -> None:
    placed = place((1280, 720), (640, 640))
    back = placed.invert(np.array([[-5, 0, 700, 640]], np.float32))
    assert back.tolist() == [[0, 0, 1280, 720]]


@pytest.mark.parametrize(
    ("source", "canvas", "expected"),
    [
        ((1280, 720), (640, 640), (0, 140, 640, 360)),
        ((1280, 720), (320, 192), (0, 6, 320, 180)),
        ((810, 1080), (640, 640), (80, 0, 480, 640)),
        ((1281, 721), (640, 640), (0, 140, 640, 360)),
        ((500, 333), (640, 640), (0, 107, 640, 426)),
        ((333, 500), (640, 384), (192, 0, 256, 384)),
        ((1001, 563), (640, 384), (0, 12, 640, 360)),
        ((10_000, 1), (640, 640), (0, 319, 640, 1)),
        ((1, 1), (320, 192), (64, 0, 192, 192)),
    ],
)
def test_sizes_and_borders_round_as_ultralytics_rounds_them(
    source: tuple[int, int], canvas: tuple[int, int], expected: tuple[int, int, int, int]
) -> None:
    placed = place(source, canvas)
    assert (placed.left, placed.top, placed.width, placed.height) == expected


@pytest.mark.parametrize(
    ("source", "canvas", "offset"),
    [
        ((1280, 720), (640, 384), (0, 12)),
        ((720, 1280), (384, 640), (12, 0)),
        ((640, 640), (640, 640), (0, 0)),
        ((1281, 721), (640, 384), (0, 12)),
        ((10_000, 1), (640, 32), (0, 15)),
        ((7, 5), (640, 480), (0, 11)),
    ],
)
def test_a_free_canvas_loses_its_border_in_whole_strides(
    source: tuple[int, int], canvas: tuple[int, int], offset: tuple[int, int]
) -> None:
    placed = place(source, (640, 640), stride=32)
    assert placed.canvas == canvas
    assert (placed.left, placed.top) == offset


@given(width=st.integers(1, 200), height=st.integers(1, 200))
def test_the_border_stays_grey_and_the_rest_is_picture(width: int, height: int) -> None:
    canvas = np.full((48, 80, 3), GREY, np.uint8)
    placed = place((width, height), (80, 48))
    letterbox(np.full((height, width, 3), 7, np.uint8), canvas, placed)
    inside = np.zeros((48, 80), bool)
    inside[placed.top : placed.top + placed.height, placed.left : placed.left + placed.width] = True
    assert (canvas[inside] == 7).all()
    assert (canvas[~inside] == GREY).all()
