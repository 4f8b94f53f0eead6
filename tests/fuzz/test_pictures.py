"""Whatever bytes a frame or a map carries, they become pixels within limits, or `UnreadableImage`."""

import struct
import subprocess
import sys
import zlib
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from framefuse.errors import UnreadableImage
from framefuse.pictures.decoding import PIXEL_LIMIT, decode, decode_map
from framefuse.pictures.headers import read_header
from tests.fuzz.mutations import broken, fuzz
from tests.unit.builders import a_map

NOISE = np.random.default_rng(3).integers(0, 255, (24, 32, 3), np.uint8)


def encoded(extension: str, *options: int) -> bytes:
    return cv2.imencode(extension, NOISE, list(options))[1].tobytes()


PICTURES = [
    encoded(".jpg"),
    encoded(".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    encoded(".png"),
    encoded(".webp"),
    encoded(".webp", cv2.IMWRITE_WEBP_QUALITY, 101),
]
MAP = a_map(np.linspace(1, 5, 24 * 32, dtype=np.float32).reshape(24, 32))


@fuzz
@given(broken(*PICTURES))
def test_a_broken_header_is_read_or_refused(image: bytes) -> None:
    try:
        header = read_header(image)
    except UnreadableImage:
        return
    assert header.width >= 1
    assert header.height >= 1
    assert 1 <= header.orientation <= 8


@fuzz
@given(st.one_of(broken(*PICTURES), broken(*PICTURES, spared=12)), st.sampled_from([None, (8, 8), (64, 64)]))
def test_a_broken_picture_becomes_pixels_or_is_refused(
    image: bytes, at_least: tuple[int, int] | None
) -> None:
    try:
        pixels = decode(image, at_least=at_least)
    except UnreadableImage:
        return
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3
    assert pixels.shape[2] == 3
    assert pixels.shape[0] * pixels.shape[1] <= PIXEL_LIMIT


@fuzz
@given(broken(MAP.data), st.floats(), st.floats())
def test_a_broken_depth_map_becomes_values_or_is_refused(data: bytes, scale: float, offset: float) -> None:
    try:
        values = decode_map(replace(MAP, data=data, scale=scale, offset=offset))
    except UnreadableImage:
        return
    assert values.shape == (24, 32)


def a_png(width: int, height: int, *, bits: int = 8, colour: int = 2, data: bytes = b"") -> bytes:
    """A PNG that says it is so large, complete in form."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def a_jpeg(width: int, height: int) -> bytes:
    """A JPEG that says it is so large."""
    size = struct.pack(">HBHHB", 17, 8, height, width, 3) + bytes(9)
    return b"\xff\xd8\xff\xc0" + size + b"\xff\xda" + bytes(20) + b"\xff\xd9"


def a_webp(width: int, height: int) -> bytes:
    """A WEBP that says it is so large."""
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + sides
    return b"RIFF" + struct.pack("<I", len(body)) + body


BOMBS = {
    "png": a_png(60_000, 60_000),
    "png of 2^31": a_png(2**31 - 1, 2**31 - 1),
    "png of one line": a_png(2**31 - 1, 1),
    "jpeg": a_jpeg(60_000, 60_000),
    "webp": a_webp(60_000, 60_000),
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_a_header_of_gigapixels_is_refused_from_its_first_bytes(bomb: bytes) -> None:
    assert len(bomb) < 150
    with pytest.raises(UnreadableImage, match="megapixels"):
        decode(bomb)


def test_no_bomb_takes_the_memory_that_it_claims() -> None:
    """In a process that may not have it: 49 megapixels pass the limit, their pixels are not there."""
    program = (
        "import re, resource, sys\n"
        "from framefuse.pictures.decoding import decode\n"
        "from framefuse.errors import UnreadableImage\n"
        "from tests.fuzz.test_pictures import BOMBS\n"
        "limit = 3 << 30\n"
        "resource.setrlimit(resource.RLIMIT_AS, (limit, limit))\n"
        "for bomb in BOMBS.values():\n"
        "    try: decode(bomb)\n"
        "    except UnreadableImage: pass\n"
        # Not ru_maxrss: that begins with the memory of who started us.
        "peak = int(re.search('VmHWM:\\\\s+(\\\\d+)', open('/proc/self/status').read())[1])\n"
        "sys.exit(0 if peak < 600_000 else f'{peak} kB')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
