"""How a picture becomes what a model takes: its place in the canvas, and its colours.

Knows pixels only: no model and no file.
"""

from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np
import numpy.typing as npt

from framefuse.pictures.resampling import resample
from framefuse.types import Image
from processors.detection.letterbox import GREY, Placement, fill, letterbox, place

Colour = tuple[float, float, float]
"""Red, green, blue; 1 is full."""
_BLACK: Colour = (0.0, 0.0, 0.0)
_FULL: Colour = (1.0, 1.0, 1.0)
_WHITE = np.float32(255)


class Resize(StrEnum):
    """How a picture is brought to the size of a model; what `--resize` takes."""

    LETTERBOX = "letterbox"
    """Its aspect kept, with a grey border, as YOLO has it."""
    STRETCH = "stretch"
    """Stretched by OpenCV, each pixel from its four nearest, as Ultralytics does it for RT-DETR."""
    STRETCH_SMOOTH = "stretch-smooth"
    """Stretched with every pixel counted, as torchvision, Pillow and transformers do it."""


@dataclass(frozen=True, slots=True)
class Edges:
    """The canvas of pictures that keep their aspect without a border, as DETR has it; in pixels."""

    shortest: int
    """What the shorter side becomes, unless the longer one got longer than `longest`."""
    longest: int
    multiple_of: int = 1
    """Of both sides, which are cut down to it."""

    def canvas(self, width: int, height: int) -> tuple[int, int]:
        """Width and height for a picture of this size, each 1 or more, as transformers counts them."""
        short, long = min(width, height), max(width, height)
        exact: float = self.shortest
        if long / short * exact > self.longest:
            exact = self.longest * short / long
        size = round(exact)
        # YOLOS computes the longer side of an upright picture even where the shorter one is right already.
        right = short == size and (self.multiple_of == 1 or height <= width)
        longer = long if right else int(exact * long / short)
        sides = (size, longer) if width < height else (longer, size)
        wide, high = (max(side - side % self.multiple_of, self.multiple_of) for side in sides)
        return wide, high


@dataclass(frozen=True, slots=True)
class Fitted:
    """A picture as the model takes it (1×3×h×w float32, RGB), and the way back for its boxes."""

    tensor: npt.NDArray[np.float32]
    placement: Placement


@dataclass(frozen=True, slots=True)
class Fitting:
    """How the pictures of one model are fitted."""

    resize: Resize
    mean: Colour = _BLACK
    """Subtracted from the colours, which are 0 to 1."""
    std: Colour = _FULL
    """They are divided by this then."""
    edges: Edges | None = None
    """Where the canvas depends on the aspect of a stretched picture."""

    def place(self, source: tuple[int, int], canvas: tuple[int, int], *, stride: int | None) -> Placement:
        """Say where a picture lies.

        Arguments as in `letterbox.place`; stretched pictures have no border, and `edges` decide their canvas.
        """
        if self.resize is Resize.LETTERBOX:
            return place(source, canvas, stride=stride)
        if self.edges is not None:
            canvas = self.edges.canvas(*source)
        return fill(source, canvas)

    def fit(self, image: Image, placement: Placement) -> npt.NDArray[np.float32]:
        """A picture in its place, 1×3×h×w, RGB."""
        planes = cv2.split(self._canvas(image, placement))
        tensor = np.empty((1, 3, placement.canvas_height, placement.canvas_width), np.float32)
        for plane, out, mean, std in zip(reversed(planes), tensor[0], self.mean, self.std, strict=True):
            # As each of them does it: the last digit decides between equal scores.
            if (self.mean, self.std) != (_BLACK, _FULL):  # torchvision folds the division by 255 into both
                np.subtract(plane, np.float32(mean) * _WHITE, out=out)
                np.divide(out, np.float32(std) * _WHITE, out=out)
            elif self.resize is Resize.STRETCH_SMOOTH:
                np.multiply(plane, np.float32(1 / 255), out=out)
            else:
                np.divide(plane, _WHITE, out=out)
        return tensor

    def _canvas(self, image: Image, placement: Placement) -> Image:
        if self.resize is Resize.STRETCH_SMOOTH:
            return resample(image, placement.canvas)
        if self.resize is Resize.STRETCH and image.shape[1::-1] != placement.canvas:
            stretched = cv2.resize(image, placement.canvas, interpolation=cv2.INTER_LINEAR)
            return stretched.astype(np.uint8, copy=False)
        if image.shape[1::-1] == placement.canvas:
            return image
        canvas = np.full((placement.canvas_height, placement.canvas_width, 3), GREY, np.uint8)
        letterbox(image, canvas, placement)
        return canvas
