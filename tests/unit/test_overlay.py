from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framefuse.pictures.decoding import Values, encode_map
from framefuse.pictures.depth_colours import NO_VALUE, Span, depth_picture, follow
from framefuse.pictures.label_layout import Rectangle, place_label
from framefuse.pictures.lettering import BOLD, text_width, write
from framefuse.pictures.overlay import caption, colour_of, contact_sheet, draw, side_by_side
from framefuse.types import Image
from schemas.records import (
    Box,
    DepthKind,
    DepthMap,
    Fused,
    FusedObject,
    Missing,
    ObjectDepth,
    Outcome,
    Side,
)
from tests.unit.builders import START, a_map, origin_at

NEARBY = ObjectDepth(7.26, 6.0, 9.0, 1.0)


def a_car(
    box: tuple[float, float, float, float] = (80, 60, 240, 160), depth: ObjectDepth | None = NEARBY
) -> FusedObject:
    return FusedObject("car", 5, 0.912, Box(*box), depth)


def a_result(
    *objects: FusedObject, depth: DepthMap | None = None, width: int = 320, height: int = 240
) -> Fused:
    return Fused(
        **origin_at(0, width=width, height=height).head(),
        outcome=Outcome.FUSED,
        objects=objects,
        map=depth,
        fused_at=START,
    )


def a_grey(width: int = 320, height: int = 240) -> Image:
    return np.full((height, width, 3), 128, np.uint8)


def relative(values: Values) -> DepthMap:
    return encode_map(values, DepthKind.RELATIVE_INVERSE, "")


def test_a_caption_has_metres_only_from_a_metric_map() -> None:
    assert caption(a_car(), DepthKind.METRIC, "m") == "car 0.91 · 7.3 m"
    assert caption(a_car(depth=ObjectDepth(128.4, 1, 200, 1)), DepthKind.METRIC, "m") == "car 0.91 · 128 m"
    assert caption(a_car(), DepthKind.RELATIVE_INVERSE, "") == "car 0.91"
    assert caption(a_car(depth=None), DepthKind.METRIC, "m") == "car 0.91"
    assert caption(a_car(), None, "") == "car 0.91"


def test_a_box_is_drawn_in_the_colour_of_its_class_on_a_copy() -> None:
    picture = a_grey()
    drawn = draw(picture, a_result(a_car()))
    assert (picture == 128).all()
    assert tuple(drawn[110, 80].tolist()) == colour_of(5)
    assert (drawn[100:120, 100:220] == 128).all()


def test_boxes_follow_a_picture_of_another_scale() -> None:
    drawn = draw(a_grey(640, 480), a_result(a_car()))
    assert tuple(drawn[220, 160].tolist()) == colour_of(5)


@given(
    width=st.integers(1, 90),
    height=st.integers(1, 90),
    corners=st.tuples(*[st.floats(-50, 150)] * 4),
)
@settings(deadline=None)
def test_any_box_in_any_picture_can_be_drawn(
    width: int, height: int, corners: tuple[float, float, float, float]
) -> None:
    picture = a_grey(width, height)
    result = a_result(
        a_car(corners), width=width, height=height, depth=a_map(np.full((3, 4), 5.0, np.float32))
    )
    assert draw(picture, result).shape == picture.shape
    assert side_by_side(picture, result).shape[1] % 2 == 0


RECTANGLES = st.builds(
    lambda left, top, width, height: (left, top, left + width, top + height),
    *[st.integers(0, 200)] * 2,
    *[st.integers(1, 100)] * 2,
)


@given(box=RECTANGLES, taken=st.lists(RECTANGLES, max_size=4))
def test_a_label_stays_in_the_picture_and_keeps_its_size(box: Rectangle, taken: list[Rectangle]) -> None:
    left, top, right, bottom = place_label(box, (60, 14), (320, 240), taken)
    assert (right - left, bottom - top) == (60, 14)
    assert left >= 0
    assert top >= 0
    assert right <= 320
    assert bottom <= 240


def test_a_label_stands_above_its_box_and_moves_when_another_is_there() -> None:
    box = (100, 100, 200, 180)
    first = place_label(box, (60, 14), (320, 240), [])
    assert first == (100, 86, 160, 100)
    assert place_label(box, (60, 14), (320, 240), [first]) == (100, 180, 160, 194)


def test_a_distance_has_the_same_colour_whatever_else_is_in_the_picture() -> None:
    near_wall = a_map(np.full((4, 4), 7.0, np.float32))
    street = np.full((4, 4), 55.0, np.float32)
    street[1:3, 1:3] = 7.0
    one = depth_picture(near_wall, (4, 4))[2, 2].astype(int)
    other = depth_picture(a_map(street), (4, 4))[2, 2].astype(int)
    assert np.abs(one - other).max() <= 2


@pytest.mark.parametrize("kind", [DepthKind.METRIC, DepthKind.RELATIVE_INVERSE])
def test_near_is_brighter_than_far_and_no_value_is_black(kind: DepthKind) -> None:
    metres = np.array([[2, 4, 8, 16, 32, np.nan]], np.float32)
    depth = a_map(metres) if kind is DepthKind.METRIC else relative(np.float32(1) / metres)
    picture = depth_picture(depth, (6, 1))
    light = picture[0].astype(int).sum(axis=1)
    assert (np.diff(light[:5]) < 0).all()
    assert tuple(picture[0, 5].tolist()) == NO_VALUE


def test_the_span_of_relative_depth_moves_slowly_and_that_of_metres_never() -> None:
    first = follow(relative(np.linspace(0, 1, 100, dtype=np.float32).reshape(10, 10)))
    second = follow(relative(np.linspace(0, 2, 100, dtype=np.float32).reshape(10, 10)), first)
    assert first.bright == pytest.approx(0.99, abs=0.01)
    assert second.bright == pytest.approx(1.09, abs=0.01)
    assert follow(a_map(np.ones((2, 2), np.float32))) == follow(
        a_map(np.full((2, 2), 30, np.float32)), Span(9, 1)
    )


def test_side_by_side_has_even_sides_for_a_video() -> None:
    result = a_result(a_car(), depth=a_map(np.full((24, 32), 7.0, np.float32)))
    for width in (None, 201, 640):
        height, across = side_by_side(a_grey(321, 241), result, "gate", width=width).shape[:2]
        assert height % 2 == across % 2 == 0


def test_without_a_map_the_reason_stands_in_its_place() -> None:
    silent = replace(a_result(a_car()), outcome=Outcome.PARTIAL)
    because = replace(silent, missing=(Missing(Side.DEPTH, "expired"),))
    right = [side_by_side(a_grey(), result)[:, 320:] for result in (silent, because)]
    assert (right[0] != right[1]).any()


def test_a_contact_sheet_shows_every_picture_in_reading_order() -> None:
    tiles = [np.full((30, 40, 3), 60 * n, np.uint8) for n in range(1, 4)]
    sheet = contact_sheet(tiles, 2)
    gap = (sheet.shape[1] - 80) // 3
    assert sheet.shape == (2 * 30 + 3 * gap, 2 * 40 + 3 * gap, 3)
    assert sheet[gap + 5, gap + 5, 0] == 60
    assert sheet[gap + 5, 2 * gap + 45, 0] == 120
    assert sheet[2 * gap + 35, gap + 5, 0] == 180


def test_text_is_written_as_wide_as_it_was_measured() -> None:
    picture = np.zeros((40, 400, 3), np.uint8)
    write(picture, "car 0.91 · 7.3 m", (10, 30), size=18, colour=(255, 255, 255), weight=BOLD)
    (columns,) = np.nonzero(picture.max(axis=(0, 2)) > 60)
    assert columns[0] == pytest.approx(10, abs=3)
    assert columns[-1] - columns[0] == pytest.approx(text_width("car 0.91 · 7.3 m", 18, BOLD), abs=5)
