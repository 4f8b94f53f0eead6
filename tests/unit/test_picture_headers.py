import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from framefuse.errors import UnreadableImage
from framefuse.pictures.headers import Header, read_header
from schemas.records import Encoding

STARTS = st.sampled_from(
    [
        b"\xff\xd8",
        b"\xff\xd8\xff\xe1\x00\x40Exif\0\0II*\0",
        b"\x89PNG\r\n\x1a\n",
        b"RIFF\x40\0\0\0WEBPVP8X",
        b"",
    ]
)


@given(start=STARTS, rest=st.binary(max_size=200))
@example(start=b"\xff\xd8", rest=b"\xff\xff\xff")
@example(start=b"\xff\xd8", rest=b"\xff\xe1\x00\x00" * 40)
def test_any_bytes_have_a_header_or_are_refused(start: bytes, rest: bytes) -> None:
    try:
        header = read_header(start + rest)
    except UnreadableImage:
        return
    assert header.width >= 1
    assert header.height >= 1
    assert 1 <= header.orientation <= 8


def test_the_header_of_a_jpeg_is_found_behind_other_segments_and_fill_bytes() -> None:
    comment = b"\xff\xfe\x00\x06\xff\xc0\xff\xff"
    size = b"\xff\xff\xff\xc2\x00\x0b\x08" + struct.pack(">HH", 240, 320) + b"\x01\x11\x00"
    assert read_header(b"\xff\xd8" + comment + size + b"\xff\xd9") == Header(
        Encoding.JPEG, 320, 240, 1, complete=True
    )


def test_a_thumbnails_end_is_not_taken_for_the_end_of_its_picture() -> None:
    thumbnail = b"\xff\xe1" + struct.pack(">H", 6) + b"\xff\xd9\xff\xd9"
    size = b"\xff\xc0\x00\x0b\x08" + struct.pack(">HH", 240, 320) + b"\x01\x11\x00"
    assert not read_header(b"\xff\xd8" + thumbnail + size).complete


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_orientation_is_read_in_both_byte_orders(order: str) -> None:
    tiff = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IHHHIHH", 8, 1, 0x0112, 3, 1, 6, 0)
    exif = b"\xff\xe1" + struct.pack(">H", len(tiff) + 8) + b"Exif\0\0" + tiff
    size = b"\xff\xc0\x00\x0b\x08" + struct.pack(">HH", 240, 320) + b"\x01\x11\x00"
    header = read_header(b"\xff\xd8" + exif + size + b"\xff\xd9")
    assert header.orientation == 6
    assert header.shown == (240, 320)
