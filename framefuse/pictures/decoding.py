"""Pictures: decode what a frame carries, within limits, and keep depth maps as 16-bit PNG.

A picture is upright everywhere: EXIF orientation is applied when decoding, and the width and height of a
record are those of the upright picture, as people see it; the published bytes stay as they are. Colours are
what OpenCV makes of them: grey becomes BGR, alpha is dropped, 16 bits become 8, CMYK becomes BGR.
"""

from hashlib import sha256
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from framefuse.errors import ProcessorFailed, UnreadableImage
from framefuse.pictures.headers import Header, read_header
from framefuse.types import Image
from schemas.records import DepthKind, DepthMap, DepthStats, Encoding, Frame, MapEncoding
from schemas.topics import IMAGE_LIMIT_BYTES

PIXEL_LIMIT = 50_000_000
"""A picture of more pixels is refused from its header."""
Values = npt.NDArray[np.float32]
"""h×w float32 in the unit of its map; NaN where there is no value."""

_REDUCED = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}
_STEPS = 65_534
"""Between the lowest pixel with a value (1) and the highest (65,535)."""


class Measure(NamedTuple):
    """What a picture is, from its header; pixels as people see it."""

    encoding: Encoding
    width: int
    height: int


def measure(image: bytes) -> Measure:
    """Say what a picture is without decoding it.

    Raises:
        UnreadableImage: zero bytes, none of our encodings, or a broken header.
    """
    header = read_header(image)
    return Measure(header.encoding, *header.shown)


def decode(
    image: bytes,
    encoding: Encoding | None = None,
    *,
    size: tuple[int, int] | None = None,
    at_least: tuple[int, int] | None = None,
    max_pixels: int = PIXEL_LIMIT,
) -> Image:
    """Decode a picture, upright.

    Args:
        image: a JPEG, PNG or WEBP file.
        encoding: what it must be; None takes any of the three.
        size: width and height it must have; None takes any.
        at_least: width and height that are enough: a JPEG may come at 1/2, 1/4 or 1/8 of its size, but not
            smaller than this. None decodes every pixel.
        max_pixels: more are refused, before decoding.

    Returns:
        H×W×3 uint8, BGR.

    Raises:
        UnreadableImage: it is broken, cut off, larger than `PIXEL_LIMIT`, or not what it must be.
        ProcessorFailed: it is larger than a lower `max_pixels`: who set that is to blame, not the picture.
    """
    header = read_header(image)
    _check(header, encoding, size, max_pixels)
    reduction = _reduction(header, at_least) if at_least else 1
    flags = _REDUCED[reduction] | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        pixels = cv2.imdecode(np.frombuffer(image, np.uint8), flags)
    except cv2.error as error:
        raise UnreadableImage(f"the {header.encoding} does not decode: {error.err}") from error
    if pixels is None:
        raise UnreadableImage(f"the {header.encoding} does not decode: its pixels are broken")
    found = (pixels.shape[1] * reduction, pixels.shape[0] * reduction)
    if not (0 <= found[0] - header.width < reduction and 0 <= found[1] - header.height < reduction):
        raise UnreadableImage(
            f"its header says {header.width}×{header.height}, its pixels are {found[0]}×{found[1]}"
        )
    return _upright(pixels.astype(np.uint8, copy=False), header.orientation)


def decode_frame(
    frame: Frame, *, at_least: tuple[int, int] | None = None, max_pixels: int = PIXEL_LIMIT
) -> Image:
    """Verify and decode the picture of a frame; arguments as in `decode`.

    Raises:
        UnreadableImage: its sha256, encoding or size is not what the record says, it has more than 4 MiB,
            or it does not decode.
        ProcessorFailed: as `decode`.
    """
    if len(frame.image) > IMAGE_LIMIT_BYTES:
        raise UnreadableImage(
            f"the picture has {len(frame.image)} bytes, a frame takes {IMAGE_LIMIT_BYTES}: send it smaller"
        )
    verify(frame.image, frame.sha256)
    return decode(
        frame.image,
        frame.encoding,
        size=(frame.width, frame.height),
        at_least=at_least,
        max_pixels=max_pixels,
    )


def verify(image: bytes, digest: str) -> None:
    """Check a picture against the hex sha256 of its record.

    Raises:
        UnreadableImage: they differ.
    """
    found = sha256(image).hexdigest()
    if found != digest.lower():
        raise UnreadableImage(
            f"sha256 is {found[:12]}…, its record says {digest[:12]}…: damaged after it was published"
        )


def _check(header: Header, encoding: Encoding | None, size: tuple[int, int] | None, max_pixels: int) -> None:
    width, height = header.shown
    if encoding is not None and header.encoding != encoding:
        raise UnreadableImage(f"the picture is {header.encoding}, its record says {encoding}")
    if width * height > max_pixels:
        refusal = ProcessorFailed if width * height <= PIXEL_LIMIT else UnreadableImage
        raise refusal(
            f"the picture has {width}×{height} = {width * height / 1e6:.1f} megapixels, "
            f"the limit is {max_pixels / 1e6:g}: send it smaller, or raise that of the stage, "
            "such as FRAMEFUSE_DETECTION_MAX_PIXELS and FRAMEFUSE_DEPTH_MAX_PIXELS"
        )
    if size is not None and size != (width, height):
        raise UnreadableImage(f"the picture is {width}×{height}, its record says {size[0]}×{size[1]}")
    if not header.complete:
        raise UnreadableImage(f"the {header.encoding} is cut off: it has no end")


def _reduction(header: Header, at_least: tuple[int, int]) -> int:
    """Largest of 1, 2, 4, 8 that keeps `at_least`; only JPEG decodes faster when smaller."""
    if header.encoding is not Encoding.JPEG:
        return 1
    (width, height), (enough_w, enough_h) = header.shown, at_least
    return max(f for f in _REDUCED if f == 1 or (width >= f * enough_w and height >= f * enough_h))


def _upright(pixels: Image, orientation: int) -> Image:
    if orientation in (5, 6, 7, 8):
        pixels = cv2.transpose(pixels).astype(np.uint8, copy=False)
    if orientation in (2, 6):
        flipped = cv2.flip(pixels, 1)
    elif orientation in (4, 8):
        flipped = cv2.flip(pixels, 0)
    elif orientation in (3, 7):
        flipped = cv2.flip(pixels, -1)
    else:
        return pixels
    return flipped.astype(np.uint8, copy=False)


def encode_map(values: Values, kind: DepthKind, unit: str, *, step: float = 0.0, level: int = 1) -> DepthMap:
    """Keep depth values as a 16-bit PNG, each within half a step of what it was.

    Args:
        values: h×w float32; NaN or infinite where there is no value.
        kind: what the values are.
        unit: of the values, empty for relative ones.
        step: smallest difference worth keeping, in `unit`; the range of the map divided by 65,534 where that
            is coarser. A wider step makes a smaller file.
        level: of PNG compression; above 1 it costs far more time than it saves bytes.
    """
    valid = np.isfinite(values)
    scale, offset = 1.0, 0.0
    if valid.any():
        low = float(values.min(where=valid, initial=np.inf))
        high = float(values.max(where=valid, initial=-np.inf))
        scale = max((high - low) / _STEPS, step) or 1.0
        offset = low - scale
    pixels = (values.astype(np.float64) - offset) / scale + 0.5
    pixels[~valid] = 0
    how = [cv2.IMWRITE_PNG_COMPRESSION, level, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_SUB]
    _, data = cv2.imencode(".png", pixels.astype(np.uint16), how)
    height, width = values.shape
    return DepthMap(MapEncoding.PNG16, width, height, kind, unit, scale, offset, data.tobytes())


def decode_map(depth: DepthMap) -> Values:
    """The values of a depth map: h×w float32, NaN where there is none.

    Raises:
        UnreadableImage: its data is not the 16-bit PNG that it says.
    """
    header = read_header(depth.data)
    _check(header, Encoding.PNG, (depth.width, depth.height), PIXEL_LIMIT)
    pixels = cv2.imdecode(np.frombuffer(depth.data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16 or pixels.ndim != 2:
        raise UnreadableImage("the depth map is not a 16-bit grey PNG")
    values = (pixels * depth.scale + depth.offset).astype(np.float32)
    values[pixels == 0] = np.nan
    return values


def stats_of(values: Values) -> DepthStats:
    """Smallest, median and largest of the valid values; zeros when there is none."""
    valid = values[np.isfinite(values)]
    if not valid.size:
        return DepthStats(0.0, 0.0, 0.0, 0.0)
    return DepthStats(
        float(valid.min()), float(np.median(valid)), float(valid.max()), valid.size / values.size
    )
