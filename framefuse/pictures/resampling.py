"""Change the size of a picture with every pixel counted, byte for byte as torchvision does it on a CPU.

OpenCV's bilinear resize looks at four pixels however much smaller the result is; Pillow, torchvision and with
them most models of Hugging Face were trained and are used with a triangle as wide as the step ("antialias").
Two passes, across then down, each rounded to bytes, with weights in 16 bits. Pillow, whose weights are finer,
differs by at most 1. Knows pixels only.
"""

from functools import lru_cache
from math import ceil

import numpy as np
import numpy.typing as npt

from framefuse.types import Image

_Weights = tuple[npt.NDArray[np.intp], npt.NDArray[np.int32], int]


def resample(image: Image, size: tuple[int, int]) -> Image:
    """The picture at another size.

    Args:
        image: H×W×3 uint8.
        size: width and height of the result.
    """
    width, height = size
    if image.shape[1] != width:
        image = np.ascontiguousarray(_down(image.swapaxes(0, 1), width).swapaxes(0, 1))
    return image if image.shape[0] == height else _down(image, height)


def _down(image: npt.NDArray[np.uint8], size: int) -> Image:
    """Resize along the first axis."""
    rows, weights, bits = _weights(image.shape[0], size)
    image = np.ascontiguousarray(image)
    total = np.full((size, *image.shape[1:]), 1 << (bits - 1), np.int32)
    for tap, weight in zip(rows, weights, strict=True):
        total += image[tap] * weight[:, None, None]
    np.right_shift(total, bits, out=total)
    return total.clip(0, 255).astype(np.uint8)


@lru_cache(maxsize=64)
def _weights(source: int, size: int) -> _Weights:
    """For each pixel of the result: which pixels count (taps×size), how much of 2**bits, and the bits."""
    scale = source / size
    support = max(scale, 1.0)
    places = np.arange(size)
    centre = scale * (places + 0.5)
    first = np.maximum((centre - support + 0.5).astype(np.int64), 0)
    count = np.minimum((centre + support + 0.5).astype(np.int64), source) - first
    taps = first[None] + np.arange(ceil(support) * 2 + 1)[:, None]
    weights = np.maximum(1 - np.abs((taps - centre + 0.5) / support), 0)
    weights[taps >= first + count] = 0
    weights /= weights.sum(axis=0)
    bits = next(bits for bits in range(22) if int(0.5 + weights.max() * (1 << (bits + 1))) >= 1 << 15)
    whole = (weights * (1 << bits) + 0.5).astype(np.int32)
    used = whole.any(axis=1)
    return np.minimum(taps, source - 1)[used].astype(np.intp), whole[used], bits
