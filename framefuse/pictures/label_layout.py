"""Where a label goes: at its box, inside the picture, off the other labels where that is easy.

Pure geometry: draws nothing.
"""

from collections.abc import Sequence

Rectangle = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels; right and bottom are exclusive."""


def place_label(
    box: Rectangle,
    label: tuple[int, int],
    picture: tuple[int, int],
    taken: Sequence[Rectangle],
    line: int = 1,
) -> Rectangle:
    """Find a place for a label.

    Args:
        box: what it names.
        label: its width and height.
        picture: width and height to stay within; a larger label starts at its top left corner.
        taken: labels that have their place.
        line: thickness of the box's line.

    Returns:
        The first of: above the box, below it, inside at its top, inside at its bottom, on the left and on the
        right side, that covers no other label; else the one that covers least.
    """
    left, top, right, bottom = box
    width, height = label
    out = line // 2
    corners = (
        (left - out, top - height - out),
        (left - out, bottom + out),
        (left - out, top),
        (left - out, bottom - height),
        (right + out - width, top - height - out),
        (right + out - width, bottom + out),
        (right + out, top),
        (left - width - out, top),
    )
    spots = [_inside(corner, label, picture) for corner in corners]
    return min(spots, key=lambda spot: sum(_shared(spot, other) for other in taken))


def _inside(corner: tuple[int, int], label: tuple[int, int], picture: tuple[int, int]) -> Rectangle:
    left, top = (
        max(0, min(at, whole - size)) for at, size, whole in zip(corner, label, picture, strict=True)
    )
    return (left, top, left + label[0], top + label[1])


def _shared(one: Rectangle, other: Rectangle) -> int:
    """Pixels that two rectangles have in common."""
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    return max(0, across) * max(0, down)
