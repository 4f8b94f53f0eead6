"""What a program gives as a picture, as it goes into a frame. Knows no Kafka."""

from pathlib import Path

import numpy as np

from framefuse.errors import BadInput
from framefuse.pictures.encoding import EncodedImage, encoded, fit
from framefuse.types import Image


def picture_of(image: Image | bytes | Path | str, *, quality: int, max_side_px: int | None) -> EncodedImage:
    """An array, the bytes of an image file, or its path, encoded.

    Args:
        image: see `FramePublisher.publish`.
        quality: JPEG quality of arrays, 1 to 100.
        max_side_px: shrink larger pictures to this long side.

    Raises:
        UnreadableImage: not a picture, broken, or too large.
        BadInput: no such file, or nothing that can be published.
    """
    if isinstance(image, str | Path):
        image = _read(Path(image))
    if isinstance(image, bytes):
        return fit(image, quality=quality, max_side_px=max_side_px)
    if not isinstance(image, np.ndarray):
        raise BadInput(
            f"a {type(image).__name__} cannot be published: give H×W×3 uint8 BGR, the bytes of an image "
            "file, or its path; of a PIL image: numpy.asarray(image.convert('RGB'))[..., ::-1]"
        )
    return encoded(image, quality=quality, max_side_px=max_side_px)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from None
