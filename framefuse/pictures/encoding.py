"""Encoded pictures that a frame can carry, from pixels or from other files. Opens no file, knows no Kafka."""

from dataclasses import dataclass, field

import cv2
import numpy as np

from framefuse.errors import UnreadableImage
from framefuse.pictures.decoding import PIXEL_LIMIT, decode
from framefuse.pictures.headers import read_header
from framefuse.types import Image
from schemas.records import Encoding
from schemas.topics import IMAGE_LIMIT_BYTES

_JPEG_SIDE_LIMIT = 65_535
_OTHERS = (b"BM", b"II*\0", b"MM\0*", *(f"P{kind}".encode() for kind in range(1, 8)))
"""How BMP, TIFF and the PNM family begin."""


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """A picture as a frame carries it; width and height in pixels, upright."""

    image: bytes = field(repr=False)
    encoding: Encoding
    width: int
    height: int


def fit(data: bytes, *, quality: int = 90, max_side_px: int | None = None) -> EncodedImage:
    """Make an image file fit for a frame.

    A JPEG, PNG or WEBP stays byte for byte as it is, unless it has to shrink; BMP, TIFF and PNM become JPEG.

    Args:
        data: the whole file.
        quality: of a JPEG that has to be made.
        max_side_px: shrink a larger picture to this long side.

    Raises:
        UnreadableImage: zero bytes, unknown, broken, cut off, above 50 megapixels or 4 MiB.
    """
    if data.startswith(_OTHERS):
        return encoded(_decode_other(data), quality=quality, max_side_px=max_side_px)
    header = read_header(data)
    width, height = header.shown
    _check_pixels(width, height)
    if not header.complete:
        raise UnreadableImage(f"the {header.encoding} is cut off: it has no end")
    if max_side_px is not None and max(width, height) > max_side_px:
        return encoded(decode(data), quality=quality, max_side_px=max_side_px)
    check_size(len(data))
    return EncodedImage(data, header.encoding, width, height)


def encoded(image: Image, *, quality: int = 90, max_side_px: int | None = None) -> EncodedImage:
    """Pixels (H×W×3 uint8 BGR, or H×W grey) as a JPEG, shrunk to the long side if need be.

    Raises:
        UnreadableImage: not such an array, above 50 megapixels, or above 4 MiB as a JPEG.
    """
    _check_array(image)
    image = shrink(image, max_side_px)
    _check_pixels(image.shape[1], image.shape[0])
    data = encode_jpeg(image, quality)
    check_size(len(data))
    return EncodedImage(data, Encoding.JPEG, image.shape[1], image.shape[0])


def check_size(size_bytes: int) -> None:
    """Refuse an encoded picture that no record can carry.

    Raises:
        UnreadableImage: it has more than 4 MiB.
    """
    if size_bytes > IMAGE_LIMIT_BYTES:
        raise UnreadableImage(
            f"the picture has {size_bytes / (1 << 20):.1f} MiB, at most {IMAGE_LIMIT_BYTES >> 20} MiB: "
            "make it smaller with max_side_px or quality (of 'framefuse publish': --max-side, --quality)"
        )


def encode_jpeg(image: Image, quality: int = 90) -> bytes:
    """The picture as a JPEG file.

    Args:
        image: H×W×3 uint8 BGR, or H×W uint8 grey.
        quality: 1 to 100.

    Raises:
        UnreadableImage: not such an array, empty, or a side above 65,535 pixels.
    """
    _check_array(image)
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise UnreadableImage(f"a picture of {'×'.join(map(str, image.shape))} could not be encoded as JPEG")
    return data.tobytes()


def shrink(image: Image, max_side_px: int | None) -> Image:
    """The picture with its long side at most `max_side_px`, keeping its aspect; itself if it is small enough.

    Args:
        image: H×W or H×W×3 uint8.
        max_side_px: at least 1; None keeps the size.
    """
    height, width = image.shape[:2]
    if max_side_px is None or max(height, width) <= max_side_px:
        return image
    scale = max_side_px / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def _check_array(image: Image) -> None:
    if image.dtype != np.uint8 or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)):
        raise UnreadableImage(
            f"the picture is {'×'.join(map(str, image.shape))} {image.dtype}, expected H×W×3 uint8 (BGR)"
        )
    height, width = image.shape[:2]
    if not 1 <= min(height, width) <= max(height, width) <= _JPEG_SIDE_LIMIT:
        raise UnreadableImage(
            f"the picture is {width}×{height}, a JPEG has 1×1 to {_JPEG_SIDE_LIMIT}×{_JPEG_SIDE_LIMIT} pixels"
        )


def _check_pixels(width: int, height: int) -> None:
    if width * height > PIXEL_LIMIT:
        raise UnreadableImage(
            f"the picture has {width}×{height} = {width * height / 1e6:.0f} megapixels, "
            f"the limit is {PIXEL_LIMIT / 1e6:.0f}: make it smaller before publishing"
        )


def _decode_other(data: bytes) -> Image:
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise UnreadableImage(f"the image does not decode: {error.err}") from error
    if image is None:
        raise UnreadableImage("the image does not decode: it is broken or of a kind we do not know")
    return image.astype(np.uint8, copy=False)
