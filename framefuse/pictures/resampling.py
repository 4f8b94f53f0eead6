"""Change the size of a picture with every pixel counted, bit for bit as torchvision does it on a CPU.

OpenCV looks at a fixed few pixels however much smaller the result is; Pillow, torchvision and with them most
models of Hugging Face were trained and are used with a filter as wide as the step ("antialias"). Two passes,
across then down, each rounded to bytes, with weights in 16 bits. Pillow, whose weights are finer, differs by
1 or 2 in some pixels. Knows pixels only. Why so, and what it costs: ADR 0009.
"""

from collections.abc import Callable
from enum import StrEnum
from functools import lru_cache
from math import ceil
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from framefuse.types import Image

_MIDDLE = 128
"""Taken from each pixel before it is weighed: half the range, so that sums stay small."""
_WEIGHT_LIMIT = 1 << 15
_MOST_BITS = 22
_FLOAT32_BITS = 16
"""Of weights whose sums with pixels float32 holds exactly, below 2²⁴; a large shrink has finer ones."""
_BLOCK = 16
"""Output pixels of one matrix product: the band of a block is dense enough, and its output stays in cache."""

_PRODUCT_LIMIT = 1 << 19
"""Multiplications of one matrix product: above it OpenBLAS wakes threads, which spend more than they save."""


class Filter(StrEnum):
    """What a pixel counts by its distance."""

    BILINEAR = "bilinear"
    """A triangle."""
    BICUBIC = "bicubic"
    """Keys' cubic with a = -0.5."""


_Exact = npt.NDArray[np.floating[Any]]
"""Integers in float32 or float64."""


class _Band(NamedTuple):
    """Weights of some neighbouring output pixels, over the input pixels `first` to `last`."""

    start: int
    stop: int
    first: int
    last: int
    weights: _Exact
    """(stop-start)×(last-first)."""
    rest: _Exact
    """(stop-start)×1: what was left out with `_MIDDLE`, and half a step to round."""


class _Pass(NamedTuple):
    bands: tuple[_Band, ...]
    step: int
    """One unit of an output pixel, in those of its sums; a power of two."""


def resample(image: Image, size: tuple[int, int], how: Filter = Filter.BILINEAR) -> Image:
    """The picture at another size.

    Args:
        image: H×W×3 uint8.
        size: width and height it shall have.
        how: the filter, widened where the picture shrinks.

    Returns:
        h×w×3 uint8, the picture itself where it has that size.
    """
    height, width = image.shape[:2]
    if size[0] != width:  # the columns of a picture are the rows of its transpose
        image = _transposed(_along_rows(_transposed(image), _weights(width, size[0], how)))
    return image if size[1] == height else _along_rows(image, _weights(height, size[1], how))


def _transposed(image: Image) -> Image:
    return cv2.transpose(image).astype(np.uint8, copy=False)


def _along_rows(image: Image, weights: _Pass) -> Image:
    height, width = image.shape[:2]
    lines = image.reshape(height, -1)
    out = np.empty((weights.bands[-1].stop, width * 3), np.uint8)
    for band in weights.bands:
        rows, goal = lines[band.first : band.last], out[band.start : band.stop]
        at_once = _PRODUCT_LIMIT // band.weights.size
        for begin in range(0, width * 3, at_once):
            part = slice(begin, begin + at_once)
            sums = band.weights @ np.subtract(rows[:, part], _MIDDLE, dtype=band.weights.dtype)
            sums += band.rest
            sums *= 1 / weights.step
            np.floor(sums, out=sums)
            goal[:, part] = np.clip(sums, 0, 255, out=sums)
    return out.reshape(-1, width, 3)


@lru_cache(maxsize=32)
def _weights(pixels: int, wanted: int, how: Filter) -> _Pass:
    """As `torch` computes them (`upsample_avx_bilinear_bicubic_uint8`, after Pillow-SIMD)."""
    reach, curve = _FILTERS[how]
    scale = pixels / wanted
    support, narrow = reach * max(scale, 1.0), 1 / max(scale, 1.0)
    rows: list[tuple[int, npt.NDArray[np.float64]]] = []
    for index in range(wanted):
        center = scale * (index + 0.5)
        first = max(int(center - support + 0.5), 0)
        count = min(int(center + support + 0.5), pixels) - first
        count = min(count, 2 * ceil(support) + 1)
        taps = curve((np.arange(count, dtype=np.float64) + first - center + 0.5) * narrow)
        rows.append((first, taps / taps.sum()))
    largest = max(float(taps.max()) for _, taps in rows)
    bits = 0
    while bits < _MOST_BITS and int(0.5 + largest * (1 << (bits + 1))) < _WEIGHT_LIMIT:
        bits += 1
    step = 1 << bits
    whole = [(first, np.trunc(taps * step + np.copysign(0.5, taps))) for first, taps in rows]
    return _Pass(tuple(_band(whole, start, step) for start in range(0, wanted, _BLOCK)), step)


def _band(rows: list[tuple[int, npt.NDArray[np.float64]]], start: int, step: int) -> _Band:
    some = rows[start : start + _BLOCK]
    begin = min(first for first, _ in some)
    end = max(first + len(taps) for first, taps in some)
    weights = np.zeros((len(some), end - begin))
    for row, (first, taps) in zip(weights, some, strict=True):
        row[first - begin : first - begin + len(taps)] = taps
    rest = weights.sum(axis=1, keepdims=True) * _MIDDLE + step // 2
    exact: type[np.floating[Any]] = np.float32 if step <= 1 << _FLOAT32_BITS else np.float64
    return _Band(start, start + len(some), begin, end, weights.astype(exact), rest.astype(exact))


def _cubic(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def _triangle(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(np.maximum(0.0, 1 - np.abs(x)), np.float64)


_Curve = Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]
_FILTERS: dict[Filter, tuple[float, _Curve]] = {
    Filter.BICUBIC: (2.0, _cubic),
    Filter.BILINEAR: (1.0, _triangle),
}
