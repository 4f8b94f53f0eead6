"""Letterbox and its inverse: fit a picture into a model's canvas and bring boxes back.

Knows pixels only: no model, no Kafka. Sizes and borders round exactly as Ultralytics 8 rounds them, so that a
box comes back to the same place.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from framefuse.types import Image

GREY = 114
"""Of the border, as the models were trained with."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a picture lies in a canvas: canvas = picture * scale + offset, in pixels."""

    scale: float
    left: int
    top: int
    width: int
    """Of the scaled picture, in canvas pixels."""
    height: int
    source_width: int
    source_height: int

    def invert(self, boxes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Boxes N×4 (x_min, y_min, x_max, y_max) from canvas pixels to the picture's, clipped to it."""
        offset = np.array([self.left, self.top, self.left, self.top], np.float32)
        limit = [self.source_width, self.source_height, self.source_width, self.source_height]
        back: npt.NDArray[np.float32] = (boxes - offset) / np.float32(self.scale)
        return np.clip(back, 0, np.array(limit, np.float32))


def place(source: tuple[int, int], canvas: tuple[int, int]) -> Placement:
    """Say where a picture of `source` (width, height) lies in a canvas of (width, height), in its middle."""
    (source_w, source_h), (canvas_w, canvas_h) = source, canvas
    scale = min(canvas_h / source_h, canvas_w / source_w)
    width, height = max(1, round(source_w * scale)), max(1, round(source_h * scale))
    return Placement(
        scale=scale,
        left=round((canvas_w - width) / 2 - 0.1),
        top=round((canvas_h - height) / 2 - 0.1),
        width=width,
        height=height,
        source_width=source_w,
        source_height=source_h,
    )


def letterbox(image: Image, canvas: Image, placement: Placement) -> None:
    """Scale `image` into its place in `canvas`.

    Args:
        image: H×W×3 uint8; the picture, or a reduced decode of it with the same aspect.
        canvas: h×w×3 uint8, written in place; the border keeps what it held (fill it with `GREY`).
        placement: of the picture in this canvas, see `place`.
    """
    size = (placement.width, placement.height)
    if image.shape[1::-1] != size:
        image = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False)
    bottom, right = placement.top + placement.height, placement.left + placement.width
    canvas[placement.top : bottom, placement.left : right] = image
