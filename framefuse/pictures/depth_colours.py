"""Depth maps as colours that mean the same in every picture: bright is near, dark is far, black is no value.

Knows maps only: no objects, no record. Metres have a fixed range; relative depth has no range of its own, so
the caller carries one from picture to picture (`follow`) and the colours do not pulse.
"""

from dataclasses import dataclass
from math import log
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from framefuse.pictures.decoding import Values, decode_map
from framefuse.pictures.lettering import text_width, write
from framefuse.types import Image
from schemas.records import DepthKind, DepthMap

NEAR, FAR = 1.5, 60.0
"""In the unit of a metric map: from here to there the colours change, by the logarithm of the distance."""
NO_VALUE = (26, 14, 12)
_PALETTE = cv2.COLORMAP_INFERNO
_FLOOR = 0.07
"""Part of the palette left out at the dark end, so that far is not taken for no value."""
_TICKS = (2, 5, 10, 20, 50)
_WHITE = (240, 240, 240)
_PACE = 0.1
"""How much of a new picture's range enters the one carried on."""


@dataclass(frozen=True, slots=True)
class Span:
    """The values of a map that get the darkest and the brightest colour."""

    dark: float
    bright: float


def follow(depth: DepthMap, before: Span | None = None) -> Span:
    """The span for this map, given that of the picture before it (None: it is the first)."""
    if depth.kind is DepthKind.METRIC:
        return Span(FAR, NEAR)
    values = decode_map(depth)
    valid = values[np.isfinite(values)]
    dark, bright = (float(v) for v in np.percentile(valid, (1, 99))) if valid.size else (0.0, 1.0)
    if before is None:
        return Span(dark, bright)
    return Span(before.dark + _PACE * (dark - before.dark), before.bright + _PACE * (bright - before.bright))


def depth_picture(
    depth: DepthMap, size: tuple[int, int], span: Span | None = None, *, legend: bool = True
) -> Image:
    """A depth map in colours, its legend included where there is room.

    Args:
        depth: the map.
        size: width and height of the picture in pixels.
        span: what `follow` gave; None takes this map alone.
        legend: False leaves it out, see `add_legend`.

    Returns:
        height×width×3 uint8, BGR.

    Raises:
        UnreadableImage: the map's data is broken.
    """
    span = span or follow(depth)
    values = decode_map(depth)
    holes = np.isnan(values)
    levels = _levels(values, depth.kind, span)
    levels[holes] = 0
    picture = _coloured(cv2.resize(levels, size, interpolation=cv2.INTER_LINEAR))
    seen = cv2.resize(1 - holes.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)[..., None]
    picture = (picture * seen + np.array(NO_VALUE) * (1 - seen)).astype(np.uint8)
    if legend:
        add_legend(picture, depth)
    return picture


def _levels(values: Values, kind: DepthKind, span: Span) -> Values:
    """0 (dark) to 1 (bright) for each value; NaN stays."""
    dark, bright = span.dark, span.bright
    if kind is DepthKind.METRIC:
        values = np.log(np.maximum(values, np.float32(1e-6)))
        dark, bright = log(dark), log(bright)
    levels: Values = (values - np.float32(dark)) / np.float32((bright - dark) or 1.0)
    return levels.clip(0, 1)


def _coloured(levels: npt.NDArray[Any]) -> Image:
    shades = (255 * (_FLOOR + (0.97 - _FLOOR) * levels) + 0.5).astype(np.uint8)
    return cv2.applyColorMap(shades, _PALETTE).astype(np.uint8, copy=False)


def add_legend(picture: Image, depth: DepthMap) -> None:
    """Put a bar of the colours with their distances at the bottom left, in place, unless there is no room."""
    height, width = picture.shape[:2]
    size = max(11, min(width, height) // 36)
    bar_w, bar_h, pad = min(width // 2, size * 16), max(4, size // 2), size // 2
    if bar_w < 8 * size or height < 12 * size:
        return
    left, bottom = 2 * pad, height - 2 * pad
    top = bottom - bar_h - size - pad
    plate = picture[top - pad : bottom + pad, left - pad : left + bar_w + 3 * pad]
    plate[:] = plate // 4 + 6
    ramp = np.linspace(0, 1, bar_w, dtype=np.float32)[None].repeat(bar_h, axis=0)
    picture[top : top + bar_h, left : left + bar_w] = _coloured(ramp[:, ::-1] if depth.unit else ramp)
    for place, text in _marks(depth):
        x = left + round(place * (bar_w - 1))
        start = min(max(left, x - text_width(text, size) // 2), left + bar_w + pad - text_width(text, size))
        write(picture, text, (start, bottom), size=size, colour=_WHITE)


def _marks(depth: DepthMap) -> list[tuple[float, str]]:
    """Places along the legend, 0 to 1, and what stands there."""
    if not depth.unit:
        return [(0.0, "far"), (1.0, "near")]
    whole = log(FAR / NEAR)
    return [
        (log(tick / NEAR) / whole, f"{tick} {depth.unit}" if tick == _TICKS[-1] else str(tick))
        for tick in _TICKS
    ]
