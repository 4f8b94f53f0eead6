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


class Resize(StrEnum):
    """How a picture is brought to the size of a model; what `--resize` takes."""

    LETTERBOX = "letterbox"
    """Its aspect kept, with a grey border, as YOLO has it."""
    STRETCH = "stretch"
    """Stretched by OpenCV, each pixel from its four nearest, as Ultralytics does it for RT-DETR."""
    STRETCH_SMOOTH = "stretch-smooth"
    """Stretched with every pixel counted, as torchvision, Pillow and transformers do it."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A picture as the model takes it (1×3×h×w float32, RGB), and the way back for its boxes."""

    tensor: npt.NDArray[np.float32]
    placement: Placement


@dataclass(frozen=True, slots=True)
class Fitting:
    """How the pictures of one model are fitted."""

    resize: Resize
    mean: Colour = (0.0, 0.0, 0.0)
    """Subtracted from the colours, which are 0 to 1."""
    std: Colour = (1.0, 1.0, 1.0)
    """They are divided by this then."""

    def place(self, source: tuple[int, int], canvas: tuple[int, int], *, stride: int | None) -> Placement:
        """Say where a picture lies; arguments as in `letterbox.place`, stretched pictures have no border."""
        if self.resize is Resize.LETTERBOX:
            return place(source, canvas, stride=stride)
        return fill(source, canvas)

    def fit(self, image: Image, placement: Placement) -> npt.NDArray[np.float32]:
        """A picture in its place, 1×3×h×w, RGB."""
        tensor = np.asarray(cv2.dnn.blobFromImage(self._canvas(image, placement), swapRB=True), np.float32)
        np.divide(tensor, 255, out=tensor)  # not times 1/255: the last digit decides between equal scores
        if (self.mean, self.std) != ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)):
            mean, std = (np.array(colour, np.float32)[:, None, None] for colour in (self.mean, self.std))
            np.divide(np.subtract(tensor, mean, out=tensor), std, out=tensor)
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
