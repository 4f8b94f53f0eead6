"""Draw a result: boxes with label, score and distance; the depth map beside them; many of them on one sheet.

Draws what a record says and nothing else: no distance in metres where the map has none. Never changes the
picture it is given. Text and lines grow with the picture, down to the smallest that can be read.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from framefuse.pictures.depth_colours import NO_VALUE, Span, add_legend, depth_picture
from framefuse.pictures.label_layout import Rectangle, place_label
from framefuse.pictures.lettering import BOLD, Colour, text_width, write
from framefuse.types import Image
from schemas.records import DepthKind, DepthMap, Fused, FusedObject

INK: Colour = (24, 18, 16)
PAPER: Colour = (245, 245, 245)
GREY: Colour = (150, 150, 150)
_PALETTE: tuple[Colour, ...] = (
    (72, 84, 240),  # red
    (62, 196, 250),  # amber
    (120, 200, 70),  # green
    (48, 140, 255),  # orange
    (240, 170, 60),  # blue
    (225, 110, 180),  # violet
    (190, 200, 50),  # teal
    (160, 120, 250),  # pink
    (90, 220, 190),  # lime
    (190, 150, 120),  # slate
)


def colour_of(class_id: int) -> Colour:
    """The colour of a class, the same in every picture; ten of them, then from the start."""
    return _PALETTE[class_id % len(_PALETTE)]


def caption(found: FusedObject, kind: DepthKind | None, unit: str) -> str:
    """What stands at an object: `car 0.91 · 7.3 m`, the distance only from a metric map."""
    text = f"{found.label} {found.score:.2f}"
    if found.depth is None or kind is not DepthKind.METRIC:
        return text
    distance = found.depth.median
    return f"{text} · {distance:.1f} {unit}" if distance < 100 else f"{text} · {distance:.0f} {unit}"


def draw(image: Image, fused: Fused) -> Image:
    """The picture with its objects.

    Args:
        image: H×W×3 uint8, BGR, the frame's picture at any scale.
        fused: of this frame; `width` and `height` say what its boxes refer to.

    Returns:
        A new picture of the same size.
    """
    canvas = image.copy()
    height, width = canvas.shape[:2]
    line = _line(width, height)
    boxes = [_on_canvas(found, fused, width, height) for found in fused.objects]
    shade = canvas.copy()
    for box in boxes:
        cv2.rectangle(shade, box[:2], box[2:], INK, line + 2)
    cv2.addWeighted(canvas, 0.5, shade, 0.5, 0, dst=canvas)
    _outline(canvas, fused, boxes, line)
    _write_labels(canvas, fused, boxes, line)
    return canvas


def _outline(canvas: Image, fused: Fused, boxes: Sequence[Rectangle], line: int) -> None:
    """Boxes in the colours of their classes, far ones first."""
    for found, box in sorted(zip(fused.objects, boxes, strict=True), key=lambda pair: -_distance(pair[0])):
        cv2.rectangle(canvas, box[:2], box[2:], colour_of(found.class_id), line)


def _line(width: int, height: int) -> int:
    """Thickness of a box's line in a picture of this size."""
    return max(1, round(min(width, height) / 240))


def _write_labels(canvas: Image, fused: Fused, boxes: Sequence[Rectangle], line: int) -> None:
    height, width = canvas.shape[:2]
    size = max(11, round(min(width, height) / 38))
    kind, unit = (fused.map.kind, fused.map.unit) if fused.map else (None, "")
    taken: list[Rectangle] = []
    for found, box in zip(fused.objects, boxes, strict=True):
        text = caption(found, kind, unit)
        label = (text_width(text, size, BOLD) + size * 2 // 3, round(size * 1.35))
        spot = place_label(box, label, (width, height), taken, line)
        taken.append(spot)
        _chip(canvas, text, spot, size, colour_of(found.class_id))


def _chip(canvas: Image, text: str, spot: Rectangle, size: int, colour: Colour) -> None:
    left, top, right, bottom = spot
    cv2.rectangle(canvas, (left, top), (right - 1, bottom - 1), colour, cv2.FILLED)
    light = 0.114 * colour[0] + 0.587 * colour[1] + 0.299 * colour[2]
    baseline = top + round((bottom - top) / 2 + size * 0.35)
    ink = INK if light > 120 else PAPER
    write(canvas, text, (left + size // 3, baseline), size=size, colour=ink, weight=BOLD)


def side_by_side(
    image: Image, fused: Fused, header: str = "", *, width: int | None = None, span: Span | None = None
) -> Image:
    """The picture with its objects beside its depth map, under a line of text.

    Args:
        image: H×W×3 uint8, BGR.
        fused: of this frame.
        header: one line above both.
        width: pixels of each of the two; None keeps the picture's.
        span: of relative depth, see `depth_colours.follow`.

    Returns:
        A picture of even width and height, as video codecs want it.
    """
    each = max(2, (width or image.shape[1]) // 2 * 2)
    size = (each, max(2, round(image.shape[0] * each / image.shape[1] / 2) * 2))
    shrinks = each < image.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    left = draw(cv2.resize(image, size, interpolation=how).astype(np.uint8, copy=False), fused)
    right = _depth_panel(fused.map, size, fused, span) if fused.map else _nothing(size, fused)
    return np.vstack((_header(header, fused, 2 * each), np.hstack((left, right))))


def _header(text: str, fused: Fused, width: int) -> Image:
    size = max(11, width // 80)
    bar = np.full((round(size * 2.2 / 2) * 2, width, 3), INK, np.uint8)
    baseline = round(bar.shape[0] / 2 + size * 0.35)
    write(bar, text, (size, baseline), size=size, colour=PAPER, weight=BOLD)
    outcome = fused.outcome.value.lower().replace("_", " ")
    start = width - size - text_width(outcome, size, BOLD)
    write(bar, outcome, (start, baseline), size=size, colour=GREY, weight=BOLD)
    return bar


def _depth_panel(depth: DepthMap, size: tuple[int, int], fused: Fused, span: Span | None) -> Image:
    """The map in colours, the boxes thin over it."""
    panel = depth_picture(depth, size, span, legend=False)
    _outline(panel, fused, [_on_canvas(found, fused, *size) for found in fused.objects], 1)
    add_legend(panel, depth)
    return panel


def _nothing(size: tuple[int, int], fused: Fused) -> Image:
    """In place of a depth map: why there is none."""
    panel = np.full((size[1], size[0], 3), NO_VALUE, np.uint8)
    letters = max(11, min(size) // 24)
    lines = ["no depth", *(f"{one.side.value.lower()}: {one.reason}" for one in fused.missing)]
    for row, text in enumerate(lines):
        x = max(4, (size[0] - text_width(text, letters)) // 2)
        baseline = size[1] // 2 + round(1.5 * letters * row)
        write(panel, text, (x, baseline), size=letters, colour=GREY)
    return panel


def contact_sheet(tiles: Sequence[Image], columns: int) -> Image:
    """Pictures in rows, read like text, on a dark ground.

    Args:
        tiles: one or more; all are shown at the size of the first.
        columns: pictures in a row.
    """
    height, width = tiles[0].shape[:2]
    gap = max(4, width // 120)
    rows, columns = -(-len(tiles) // columns), min(columns, len(tiles))
    sheet = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, 3), INK, np.uint8)
    for place, tile in enumerate(tiles):
        top, left = (
            gap + at * (side + gap) for at, side in zip(divmod(place, columns), (height, width), strict=True)
        )
        fitted = (
            tile
            if tile.shape == tiles[0].shape
            else cv2.resize(tile, (width, height), interpolation=cv2.INTER_AREA)
        )
        sheet[top : top + height, left : left + width] = fitted
    return sheet


def _on_canvas(found: FusedObject, fused: Fused, width: int, height: int) -> Rectangle:
    across, down = width / max(1, fused.width), height / max(1, fused.height)
    box = found.box
    return (
        round(box.x_min * across),
        round(box.y_min * down),
        round(box.x_max * across),
        round(box.y_max * down),
    )


def _distance(found: FusedObject) -> float:
    """For the order of drawing: large boxes are taken for near where there is no depth."""
    if found.depth is not None:
        return found.depth.median
    return -(found.box.x_max - found.box.x_min) * (found.box.y_max - found.box.y_min)
