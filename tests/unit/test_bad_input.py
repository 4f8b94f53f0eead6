"""Models and pictures nobody hopes for: a clear error or the right answer.

Where the others are tested: not ONNX, wrong opset, external data, wrong rank (test_onnx_model.py); numbers
that are not finite, 3,000 classes, a picture of one pixel (test_detection_stage.py); no classes
(test_detection_heads.py); 16 bits, alpha, EXIF rotation (test_pictures.py, test_detection_pictures.py).
"""

from base64 import b64decode

import pytest

from framefuse.pictures.decoding import decode

CMYK = (
    "/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwAGBAUGBQQGBgUGBwcGCAoQCgoJCQoUDg8MEBcUGBgXFBYWGh0lHxobIxwWFiAsICMmJykqKRkfLTAtKDAlKCko"
    "/8AAFAgACAAIBEMRAE0RAFkRAEsRAP/EAB8AAAEFAQEBAQEBAAAAAAAAAAABAgMEBQYHCAkKC//EALUQAAIBAwMCBAMFBQQEAAABfQECAwAEEQUSITFB"
    "BhNRYQcicRQygZGhCCNCscEVUtHwJDNicoIJChYXGBkaJSYnKCkqNDU2Nzg5OkNERUZHSElKU1RVVldYWVpjZGVmZ2hpanN0dXZ3eHl6g4SFhoeIiYqS"
    "k5SVlpeYmZqio6Slpqeoqaqys7S1tre4ubrCw8TFxsfIycrS09TV1tfY2drh4uPk5ebn6Onq8fLz9PX29/j5+v/aAA4EQwBNAFkASwAAPwD"
)
"""8×8 pixels of one colour as Adobe stores them, all but the last bytes."""


@pytest.mark.parametrize(
    ("last", "blue_green_red"),
    [("6pr5Ur5Ur6pr/2Q==", (0, 0, 255)), ("5Ur6pr6pr6pr/2Q==", (255, 255, 0))],
    ids=["red", "cyan"],
)
def test_a_cmyk_jpeg_has_the_colours_that_people_see(last: str, blue_green_red: tuple[int, ...]) -> None:
    picture = decode(b64decode(CMYK + last))
    assert picture.shape == (8, 8, 3)
    assert picture[4, 4].tolist() == pytest.approx(blue_green_red, abs=3)
