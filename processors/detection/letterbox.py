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
    """Where a picture lies in a canvas: canvas = picture * scale + offset along each axis, in pixels."""

    left: int
    top: int
    width: int
    """Of the scaled picture, in canvas pixels."""
    height: int
    canvas_width: int
    canvas_height: int
    source_width: int
    source_height: int

    @property
    def canvas(self) -> tuple[int, int]:
        """Width and height of the canvas."""
        return self.canvas_width, self.canvas_height

    def invert(self, boxes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Boxes N×4 (x_min, y_min, x_max, y_max) from canvas pixels to the picture's, clipped to it."""
        offset = np.array([self.left, self.top] * 2, np.float32)
        scale = np.array([self.width / self.source_width, self.height / self.source_height] * 2, np.float32)
        limit = np.array([self.source_width, self.source_height] * 2, np.float32)
        back: npt.NDArray[np.float32] = (boxes - offset) / scale
        return np.clip(back, 0, limit)


def place(source: tuple[int, int], canvas: tuple[int, int], *, stride: int | None = None) -> Placement:
    """Say where a picture lies in a canvas, in its middle.

    Args:
        source: width and height of the picture.
        canvas: width and height of the canvas, or the most it may have.
        stride: cut the border off in steps of this many pixels; None keeps the canvas as it is.
    """
    (source_w, source_h), (canvas_w, canvas_h) = source, canvas
    scale = min(canvas_h / source_h, canvas_w / source_w)
    width, height = max(1, round(source_w * scale)), max(1, round(source_h * scale))
    border_w, border_h = canvas_w - width, canvas_h - height
    if stride is not None:
        border_w, border_h = border_w % stride, border_h % stride
    return Placement(
        left=round(border_w / 2 - 0.1),
        top=round(border_h / 2 - 0.1),
        width=width,
        height=height,
        canvas_width=width + border_w,
        canvas_height=height + border_h,
        source_width=source_w,
        source_height=source_h,
    )


def fill(source: tuple[int, int], canvas: tuple[int, int]) -> Placement:
    """A picture stretched over the whole canvas; sizes as width and height."""
    return Placement(0, 0, *canvas, *canvas, *source)


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
