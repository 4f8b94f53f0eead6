"""What the header of a JPEG, PNG or WEBP says, read without decoding a pixel.

So a picture of 100 megapixels is refused before it takes memory, and one that was cut off before it is shown
with a grey lower half. Knows bytes only: no OpenCV, no record.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from framefuse.errors import UnreadableImage
from schemas.records import Encoding

_JPEG, _PNG = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"
_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of JPEG segments that hold the size: SOF0 to SOF15 without DHT, JPG and DAC."""
_BARE = frozenset((0x01, *range(0xD0, 0xD9)))
"""Markers of JPEG segments that have no length."""
_EXIF_ORIENTATION = 0x0112


@dataclass(frozen=True, slots=True)
class Header:
    """Of an encoded picture; `width` and `height` in pixels as stored, before `orientation`."""

    encoding: Encoding
    width: int
    height: int
    orientation: int
    """As EXIF has it: 1 upright, 2 to 4 flipped or upside down, 5 to 8 lying on a side."""
    complete: bool
    """Whether the picture has an end; without, it was cut off."""

    @property
    def shown(self) -> tuple[int, int]:
        """Width and height as people see it, after `orientation`."""
        return (self.height, self.width) if self.orientation >= 5 else (self.width, self.height)


def read_header(image: bytes) -> Header:
    """Read the header of a picture.

    Raises:
        UnreadableImage: zero bytes, none of the three encodings, or a broken header.
    """
    if not image:
        raise UnreadableImage("the picture has zero bytes: expected a JPEG, PNG or WEBP")
    if image.startswith(_JPEG):
        encoding, read = Encoding.JPEG, _jpeg
    elif image.startswith(_PNG):
        encoding, read = Encoding.PNG, _png
    elif image[:4] == b"RIFF" and image[8:12] == b"WEBP":
        encoding, read = Encoding.WEBP, _webp
    else:
        raise UnreadableImage(f"starts with {image[:8].hex(' ')}: expected a JPEG, PNG or WEBP")
    try:
        header = read(image)
    except (struct.error, IndexError):
        raise UnreadableImage(f"the {encoding} ends inside its header, after {len(image)} bytes") from None
    if header.width < 1 or header.height < 1:
        raise UnreadableImage(
            f"the {encoding} says it is {header.width}×{header.height}: expected 1×1 or more"
        )
    return header


def _jpeg(image: bytes) -> Header:
    orientation, at = 1, 2
    while True:
        if image[at] != 0xFF:
            raise UnreadableImage(f"broken JPEG: expected a marker at byte {at}, found {image[at]:02x}")
        while image[at] == 0xFF:
            at += 1
        marker, at = image[at], at + 1
        if marker in _BARE:
            continue
        if marker in (0xD9, 0xDA):
            raise UnreadableImage("broken JPEG: its pixels begin before its size is said")
        (length,) = struct.unpack_from(">H", image, at)
        if marker in _SIZES:
            height, width = struct.unpack_from(">HH", image, at + 3)
            complete = image.rfind(b"\xff\xd9") > at
            return Header(Encoding.JPEG, width, height, orientation, complete)
        if marker == 0xE1 and image[at + 2 : at + 8] == b"Exif\0\0":
            orientation = _orientation(image[at + 8 : at + length])
        at += length


def _png(image: bytes) -> Header:
    width, height = struct.unpack_from(">II", image, 16)
    orientation, complete = 1, False
    for kind, body in _png_chunks(image):
        if kind == b"eXIf":
            orientation = _orientation(body)
        complete = complete or kind == b"IEND"
    return Header(Encoding.PNG, width, height, orientation, complete)


def _png_chunks(image: bytes) -> Iterator[tuple[bytes, bytes]]:
    view, at = memoryview(image), len(_PNG)
    while at + 12 <= len(image):
        (length,) = struct.unpack_from(">I", image, at)
        kind, end = image[at + 4 : at + 8], at + 12 + length
        if end > len(image):
            return
        yield kind, bytes(view[at + 8 : end - 4]) if kind == b"eXIf" else b""
        if kind == b"IEND":
            return
        at = end


def _webp(image: bytes) -> Header:
    (size,) = struct.unpack_from("<I", image, 4)
    kind = image[12:16]
    if kind == b"VP8X":
        width = 1 + int.from_bytes(image[24:27], "little")
        height = 1 + int.from_bytes(image[27:30], "little")
    elif kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", image, 21)
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    elif kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", image, 26))
    else:
        raise UnreadableImage(f"broken WEBP: expected VP8, VP8L or VP8X, found {kind!r}")
    return Header(Encoding.WEBP, width, height, _webp_orientation(image), len(image) >= 8 + size)


def _webp_orientation(image: bytes) -> int:
    at = 12
    while at + 8 <= len(image):
        (length,) = struct.unpack_from("<I", image, at + 4)
        if image[at : at + 4] == b"EXIF":
            return _orientation(image[at + 8 : at + 8 + length])
        at += 8 + length + length % 2
    return 1


def _orientation(exif: bytes) -> int:
    """The orientation in a TIFF block; 1 where it has none or cannot be read, as every viewer takes it."""
    tiff = exif.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return 1
    try:
        (at,) = struct.unpack_from(order + "I", tiff, 4)
        (entries,) = struct.unpack_from(order + "H", tiff, at)
        for entry in range(entries):
            tag, _, _, value = struct.unpack_from(order + "HHIH", tiff, at + 2 + 12 * entry)
            if tag == _EXIF_ORIENTATION:
                return value if 1 <= value <= 8 else 1
    except struct.error:
        return 1
    return 1
