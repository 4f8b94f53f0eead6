"""How a picture becomes what a depth model takes: its size there, and its colours.

Knows pixels, and the words of metadata. The rules of `keep_aspect`, `multiple_of` and `resample` are those of
`DPTImageProcessor` in transformers 5, number for number; see ADR 0009.
"""

from dataclasses import dataclass
from enum import StrEnum
from math import sqrt

import cv2
import numpy as np
import numpy.typing as npt

from framefuse.errors import ModelUnusable
from framefuse.pictures.resampling import Filter, resample
from framefuse.types import Image
from processors.picture_model import PictureModel

Colour = tuple[float, float, float]
"""Red, green, blue; 1 is full."""
Fitted = npt.NDArray[np.float32]
"""A picture as the model takes it: 1×3×h×w, RGB."""

_MOST_AREAS = 4.0
"""A model's input has at most so many times the pixels of its own size."""


class Resample(StrEnum):
    """How pixels are made when a picture changes its size."""

    AREA = "area"
    """By OpenCV: means where it halves at least, else from the four nearest."""
    BILINEAR = "bilinear"
    """As torchvision does, every pixel counted."""
    BICUBIC = "bicubic"
    """The same, sharper."""


@dataclass(frozen=True, slots=True)
class Fitting:
    """How the pictures of one model are fitted. A map covers its picture, whatever the size of its input."""

    width: int
    height: int
    keep_aspect: bool = False
    """The shorter way to the size decides (so one side may be larger than said), and the aspect stays."""
    multiple_of: int = 1
    """Of both sides, rounded to the nearest: the aspect changes by up to half of this."""
    resample: Resample = Resample.AREA
    mean: Colour = (0.0, 0.0, 0.0)
    """Subtracted from the colours, which are 0 to 1."""
    std: Colour = (1.0, 1.0, 1.0)
    """They are divided by this then."""

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of the input for a picture of this size.

        Beyond the rule of transformers, no side is 0, and a very long picture (more than about 4:1) is made
        smaller than the rule says, so that memory stays bounded.
        """
        across, down = self.width / width, self.height / height
        if self.keep_aspect:
            across = down = across if abs(1 - across) < abs(1 - down) else down
        most = _MOST_AREAS * self.width * self.height
        if (area := across * width * down * height) > most:
            across, down = across * sqrt(most / area), down * sqrt(most / area)
        return self._side(across * width), self._side(down * height)

    def fit(self, image: Image) -> Fitted:
        """A picture at its size, in the colours of the model.

        Args:
            image: H×W×3 uint8, BGR.
        """
        height, width = image.shape[:2]
        image = self._resized(image, self.size(width, height))
        tensor = np.asarray(cv2.dnn.blobFromImage(image, swapRB=True), np.float32)
        # As torchvision folds the division by 255 into both: the last digit is the same as there.
        mean, std = (np.array(one, np.float32) * np.float32(255) for one in (self.mean, self.std))
        if mean.any():
            np.subtract(tensor, mean[:, None, None], out=tensor)
        np.divide(tensor, std[:, None, None], out=tensor)
        return tensor

    def _side(self, pixels: float) -> int:
        return max(round(pixels / self.multiple_of), 1) * self.multiple_of

    def _resized(self, image: Image, size: tuple[int, int]) -> Image:
        height, width = image.shape[:2]
        if size == (width, height):
            return image
        if self.resample is not Resample.AREA:
            return resample(image, size, Filter(self.resample))
        halves = width >= 2 * size[0] and height >= 2 * size[1]
        how = cv2.INTER_AREA if halves else cv2.INTER_LINEAR
        return cv2.resize(image, size, interpolation=how).astype(np.uint8, copy=False)


def fitting_of(model: PictureModel) -> Fitting:
    """How the pictures of a model are fitted, by its metadata, as `processors.hub` writes it.

    Without a word of it they are stretched to the size of the input, in colours from 0 to 1.

    Raises:
        ModelUnusable: the metadata holds something else than expected.
    """
    shape, name = model.input, model.identity.name
    resampling, keeps = (
        model.metadata.get("resample", Resample.AREA),
        model.metadata.get("keep_aspect", "false"),
    )
    if resampling not in tuple(Resample):
        raise ModelUnusable(f"{name}: metadata 'resample' is {resampling}, expected {', '.join(Resample)}")
    if keeps not in ("true", "false"):
        raise ModelUnusable(f"{name}: metadata 'keep_aspect' is {keeps}, expected true or false")
    step = model.number("multiple_of")
    if step is not None and (step < 1 or step != int(step)):
        raise ModelUnusable(f"{name}: metadata 'multiple_of' is {step:g}, expected 1 or more, whole")
    mean, std = _colour(model, "mean", (0.0, 0.0, 0.0)), _colour(model, "std", (1.0, 1.0, 1.0))
    if min(std) <= 0:
        raise ModelUnusable(f"{name}: metadata 'std' is {list(std)}, expected numbers above 0")
    if not shape.any_size:  # the file takes this size and no other
        return Fitting(shape.width, shape.height, resample=Resample(resampling), mean=mean, std=std)
    return Fitting(
        shape.width, shape.height, keeps == "true", int(step or 1), Resample(resampling), mean, std
    )


def _colour(model: PictureModel, key: str, otherwise: Colour) -> Colour:
    match model.literal(key):
        case None:
            return otherwise
        case [float() | int() as red, float() | int() as green, float() | int() as blue]:
            return float(red), float(green), float(blue)
        case found:
            raise ModelUnusable(
                f"{model.identity.name}: metadata {key!r} is {found}, expected three numbers: [r, g, b]"
            )
