"""Text in pictures: measure it, write it, in the best font that this OpenCV has.

OpenCV 5 brings a TrueType sans; OpenCV 4 has stroke fonts only, which know no character outside ASCII.
"""

import cv2

from framefuse.types import Image

Colour = tuple[int, int, int]
"""Blue, green, red, 0 to 255."""

REGULAR, BOLD = 420, 640
_TRUETYPE = hasattr(cv2, "FontFace")
_STROKES = cv2.FONT_HERSHEY_SIMPLEX
_STROKE_HEIGHT = 30.0
"""Pixels of a line of the stroke font at scale 1."""
_ASCII = str.maketrans({"·": "|", "–": "-", "×": "x", "…": "..."})


def text_width(text: str, size: int, weight: int = REGULAR) -> int:
    """Pixels that `text` takes from left to right at a font size in pixels."""
    if _TRUETYPE:
        # A face of one's own for every call: a shared one mixes up letters between threads.
        return cv2.getTextSize((0, 0), text, (0, 0), cv2.FontFace("sans"), size, weight)[2]
    (width, _), _ = cv2.getTextSize(text.translate(_ASCII), _STROKES, size / _STROKE_HEIGHT, 1)
    return width


def write(
    image: Image, text: str, at: tuple[int, int], *, size: int, colour: Colour, weight: int = REGULAR
) -> None:
    """Write one line into `image`, in place, cut off at its edges.

    Args:
        image: H×W×3 uint8, BGR.
        text: one line.
        at: x of its left end, y of its baseline.
        size: of the font in pixels; capitals are about 0.7 of it.
        colour: of the letters.
        weight: `REGULAR` or `BOLD`.
    """
    if _TRUETYPE:
        cv2.putText(image, text, at, colour, cv2.FontFace("sans"), size, weight)
        return
    thickness = max(1, round(size * weight / 11_000))
    scale = size / _STROKE_HEIGHT
    cv2.putText(image, text.translate(_ASCII), at, _STROKES, scale, colour, thickness, cv2.LINE_AA)
