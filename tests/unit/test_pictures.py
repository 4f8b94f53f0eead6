import struct
import zlib
from hashlib import sha256

import cv2
import numpy as np
import pytest

from framefuse.errors import ProcessorFailed, UnreadableImage
from framefuse.pictures.decoding import decode, decode_frame, measure, verify
from framefuse.types import Image
from schemas.records import Encoding
from schemas.topics import IMAGE_LIMIT_BYTES
from tests.unit.builders import a_frame

SUFFIX = {Encoding.JPEG: ".jpg", Encoding.PNG: ".png", Encoding.WEBP: ".webp"}
EVERY = pytest.mark.parametrize("encoding", list(Encoding))


def a_picture(width: int = 96, height: int = 64) -> Image:
    """Red grows to the right, green grows downwards."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[..., 2] = np.linspace(0, 255, width, dtype=np.uint8)
    picture[..., 1] = np.linspace(0, 255, height, dtype=np.uint8)[:, None]
    return picture


def encoded(picture: Image, encoding: Encoding = Encoding.JPEG) -> bytes:
    lossy = [cv2.IMWRITE_WEBP_QUALITY, 90] if encoding is Encoding.WEBP else []
    return cv2.imencode(SUFFIX[encoding], picture, lossy)[1].tobytes()


def exif(orientation: int) -> bytes:
    """A little-endian TIFF block with the orientation alone."""
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    return b"II*\0" + struct.pack("<IH", 8, 1) + entry + b"\0\0\0\0"


def turned(image: bytes, encoding: Encoding, orientation: int) -> bytes:
    """The same picture with an EXIF orientation."""
    block = exif(orientation)
    if encoding is Encoding.JPEG:
        segment = b"Exif\0\0" + block
        return image[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + image[2:]
    if encoding is Encoding.PNG:
        chunk = b"eXIf" + block
        return (
            image[:33]
            + struct.pack(">I", len(block))
            + chunk
            + struct.pack(">I", zlib.crc32(chunk))
            + image[33:]
        )
    width, height = measure(image)[1:]
    extended = b"\x08\0\0\0" + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = (
        b"VP8X"
        + struct.pack("<I", 10)
        + extended
        + image[12:]
        + b"EXIF"
        + struct.pack("<I", len(block))
        + block
    )
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


@EVERY
def test_a_picture_is_measured_and_decoded_as_what_it_is(encoding: Encoding) -> None:
    image = encoded(a_picture(), encoding)
    assert measure(image) == (encoding, 96, 64)
    assert np.abs(decode(image, encoding, size=(96, 64)).astype(int) - a_picture()).mean() < 6


def test_a_lossless_webp_is_measured_too() -> None:
    image = cv2.imencode(".webp", a_picture(33, 17), [cv2.IMWRITE_WEBP_QUALITY, 101])[1].tobytes()
    assert b"VP8L" in image[:40]
    assert measure(image) == (Encoding.WEBP, 33, 17)


@EVERY
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_gives_the_picture_as_people_see_it(encoding: Encoding, orientation: int) -> None:
    stored = a_picture()
    lying = stored.transpose(1, 0, 2) if orientation >= 5 else stored
    rows, columns = (-1 if orientation in flips else 1 for flips in ((3, 4, 7, 8), (2, 3, 6, 7)))
    upright = lying[::rows, ::columns]
    image = turned(encoded(stored, encoding), encoding, orientation)
    assert measure(image) == (encoding, upright.shape[1], upright.shape[0])
    assert np.abs(decode(image).astype(int) - upright).mean() < 6


@EVERY
def test_a_bomb_is_refused_from_its_header(encoding: Encoding) -> None:
    image = bytearray(encoded(a_picture(), encoding))
    if encoding is Encoding.JPEG:
        start = image.index(b"\xff\xc0")
        image[start + 5 : start + 9] = struct.pack(">HH", 10_000, 10_000)
    elif encoding is Encoding.PNG:
        image[16:24] = struct.pack(">II", 10_000, 10_000)
    else:
        image[26:30] = struct.pack("<HH", 10_000, 10_000)
    with pytest.raises(UnreadableImage, match=r"10000×10000 = 100\.0 megapixels, the limit is 50"):
        decode(bytes(image))


@EVERY
@pytest.mark.parametrize("part", [0.3, 0.7, 0.99])
def test_a_picture_that_is_cut_off_is_refused(encoding: Encoding, part: float) -> None:
    whole = encoded(a_picture(640, 480), encoding)
    with pytest.raises(UnreadableImage, match=r"cut off|ends inside its header"):
        decode(whole[: int(len(whole) * part)])


def test_a_picture_that_every_publisher_may_send_is_the_stages_to_refuse() -> None:
    """Too many of these stop the worker, for it is its setting that drains the topic."""
    with pytest.raises(ProcessorFailed, match=r"64×48 = 0\.0 megapixels, the limit is 0\.001: .*_MAX_PIXELS"):
        decode(encoded(a_picture(64, 48), Encoding.JPEG), max_pixels=1000)


@EVERY
def test_every_cut_of_a_header_is_refused_with_a_reason(encoding: Encoding) -> None:
    whole = encoded(a_picture(), encoding)
    for length in range(60):
        with pytest.raises(UnreadableImage, match=r"zero bytes|expected|ends inside|cut off"):
            decode(whole[:length])


@EVERY
def test_broken_pixels_are_refused_or_decoded_but_never_crash(encoding: Encoding) -> None:
    whole = encoded(a_picture(640, 480), encoding)
    rng = np.random.default_rng(7)
    for _ in range(60):
        broken = bytearray(whole)
        for place in rng.integers(12, len(whole), 8):
            broken[place] ^= int(rng.integers(1, 256))
        try:
            picture = decode(bytes(broken), max_pixels=1_000_000)
        except (UnreadableImage, ProcessorFailed):  # its header may say that it is larger than that
            continue
        assert picture.shape[2] == 3
        assert picture.dtype == np.uint8


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (b"", "zero bytes"),
        (b"GIF89a\x01\x00\x01\x00", "starts with 47 49 46 38 39 61 01 00: expected a JPEG, PNG or WEBP"),
        (b"\xff\xd8 no jpeg", "broken JPEG"),
        (b"\xff\xd8\xff\xd9", "broken JPEG"),
        (b"RIFF\x20\0\0\0WEBPABCD\0\0\0\0", "broken WEBP"),
    ],
)
def test_what_is_no_picture_is_refused_with_what_was_found(image: bytes, reason: str) -> None:
    with pytest.raises(UnreadableImage, match=reason):
        decode(image)


def test_a_picture_without_a_side_is_refused() -> None:
    image = bytearray(encoded(a_picture(), Encoding.PNG))
    image[16:20] = b"\0\0\0\0"
    with pytest.raises(UnreadableImage, match="0×64: expected 1×1 or more"):
        measure(bytes(image))


def test_another_encoding_than_declared_is_refused() -> None:
    with pytest.raises(UnreadableImage, match="the picture is PNG, its record says JPEG"):
        decode(encoded(a_picture(), Encoding.PNG), Encoding.JPEG)


def test_another_size_than_declared_is_refused() -> None:
    with pytest.raises(UnreadableImage, match="the picture is 96×64, its record says 64×96"):
        decode(encoded(a_picture()), size=(64, 96))


def test_a_wrong_sha256_is_refused() -> None:
    image = encoded(a_picture())
    verify(image, sha256(image).hexdigest().upper())
    with pytest.raises(UnreadableImage, match="damaged after it was published"):
        verify(image, "0" * 64)


def test_a_frame_is_decoded_as_its_record_says() -> None:
    image = encoded(a_picture())
    assert decode_frame(a_frame(image=image, width=96, height=64)).shape == (64, 96, 3)
    with pytest.raises(UnreadableImage, match="its record says 640×480"):
        decode_frame(a_frame(image=image))


def test_a_picture_above_the_limit_is_refused_whoever_published_it() -> None:
    noise = np.random.default_rng(7).integers(0, 255, (1200, 1300, 3), np.uint8)
    image = cv2.imencode(".png", noise)[1].tobytes()
    assert len(image) > IMAGE_LIMIT_BYTES
    with pytest.raises(UnreadableImage, match="a frame takes 4194304"):
        decode_frame(a_frame(image=image, width=1300, height=1200))


@pytest.mark.parametrize(
    ("at_least", "expected"),
    [
        ((320, 180), (180, 320)),
        ((321, 180), (360, 640)),
        ((160, 90), (90, 160)),
        ((20, 20), (90, 160)),
        ((9999, 1), (721, 1281)),
    ],
)
def test_a_reduced_decode_is_never_smaller_than_what_is_enough(
    at_least: tuple[int, int], expected: tuple[int, int]
) -> None:
    image = encoded(a_picture(1281, 721))
    height, width = decode(image, at_least=at_least).shape[:2]
    assert (height, width) == (-(-721 // round(721 / expected[0])), -(-1281 // round(1281 / expected[1])))
    assert at_least[0] > 1281 or (width >= at_least[0] and height >= at_least[1])


def test_a_reduced_decode_shows_the_same_picture() -> None:
    whole = a_picture(1280, 720)
    small = decode(encoded(whole), at_least=(320, 180))
    assert np.abs(small.astype(int) - cv2.resize(whole, (320, 180), interpolation=cv2.INTER_AREA)).mean() < 3


def test_grey_alpha_sixteen_bits_and_one_pixel_become_three_channels() -> None:
    grey = cv2.imencode(".jpg", np.full((8, 8), 99, np.uint8))[1].tobytes()
    alpha = cv2.imencode(".png", np.full((8, 8, 4), 99, np.uint8))[1].tobytes()
    deep = cv2.imencode(".png", np.full((8, 8), 99 * 257, np.uint16))[1].tobytes()
    dot = encoded(np.full((1, 1, 3), 99, np.uint8), Encoding.PNG)
    for image in (grey, alpha, deep, dot):
        picture = decode(image)
        assert picture.dtype == np.uint8
        assert picture.shape[2] == 3
        assert abs(int(picture[0, 0, 0]) - 99) <= 1
