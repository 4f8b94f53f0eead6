"""What a surface looks like before light falls on it: patterns, colours, grain.

A pattern says, per point of a unit solid, how much of the second colour shows. No geometry of its
own, no light.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from producers.scenes.shapes import Floats

Colour = tuple[float, float, float]
Pattern = Callable[["Paint", Floats, Floats, Floats], Floats]
_SIDE = 512


@dataclass(frozen=True, slots=True)
class Paint:
    """Colours are linear red, green, blue from 0 to 1; `gloss` from 0 (chalk) to 1 (lacquer)."""

    colour: Colour
    second: Colour
    pattern: Pattern | None = None
    gloss: float = 0.0
    count: int = 1
    grain: float = 0.28
    offset: tuple[float, float] = (0.0, 0.0)
    size_m: tuple[float, float, float] = (1.0, 1.0, 1.0)


@cache
def noise_texture() -> Floats:
    """512×512 float32 from 0 to 1 that repeats seamlessly; the same in every process."""
    import cv2

    generator = np.random.default_rng(7)
    total = np.zeros((_SIDE, _SIDE), np.float32)
    octaves = ((4, 1.0), (8, 0.7), (16, 0.5), (32, 0.4), (64, 0.3), (128, 0.25), (256, 0.2))
    for cells, weight in octaves:
        coarse = np.pad(generator.random((cells, cells)).astype(np.float32), ((0, 1), (0, 1)), mode="wrap")
        at = (np.arange(_SIDE) * (cells / _SIDE)).astype(np.float32)
        columns, rows = np.tile(at, (_SIDE, 1)), np.tile(at[:, None], (1, _SIDE))
        total += weight * cv2.remap(coarse, columns, rows, cv2.INTER_LINEAR)
    spread: Floats = (total - total.min()) / (total.max() - total.min())
    return spread


def noise(u: Floats, v: Floats) -> Floats:
    """Noise at texture coordinates of any size; one unit is one repeat."""
    rows = (v * _SIDE).astype(np.int32) & (_SIDE - 1)
    columns = (u * _SIDE).astype(np.int32) & (_SIDE - 1)
    found: Floats = noise_texture().ravel()[rows * _SIDE + columns]
    return found


def albedo(paint: Paint, x: Floats, y: Floats, z: Floats) -> Floats:
    """Colour of n surface points, given in the unit coordinates of their solid.

    Returns:
        3×n float32, linear red, green, blue.
    """
    first, second = np.array(paint.colour, np.float32)[:, None], np.array(paint.second, np.float32)[:, None]
    colours = np.repeat(first, x.size, axis=1)
    if paint.pattern is not None:
        colours += paint.pattern(paint, x, y, z) * (second - first)
    if paint.grain:
        u, v = paint.offset
        speckle = noise(x * 0.16 + z * 0.09 + u, y * 0.16 + z * 0.05 + v)
        colours *= (1 - paint.grain / 2) + paint.grain * speckle
    return colours


def _ones(mask: np.ndarray) -> Floats:
    return mask.astype(np.float32)


def sectors(paint: Paint, x: Floats, y: Floats, z: Floats) -> Floats:
    """Beach-ball slices from pole to pole."""
    turn = np.arctan2(y, z) * (paint.count / np.pi) + 2 * paint.count
    return _ones((turn.astype(np.int32) & 1) == 1)


def belt(paint: Paint, x: Floats, y: Floats, z: Floats) -> Floats:
    """One broad band around the middle."""
    return _ones(np.abs(x) < 0.3)


def dots(paint: Paint, x: Floats, y: Floats, z: Floats) -> Floats:
    """Round spots."""
    return _ones(np.sin(x * 7) * np.sin(y * 7) * np.sin(z * 7) > 0.25)


def patches(paint: Paint, x: Floats, y: Floats, z: Floats) -> Floats:
    """A football: dark patches at the corners of an icosahedron."""
    golden = 0.8506508, 0.5257311
    ax, ay, az = np.abs(x), np.abs(y), np.abs(z)
    corners = (
        ay * golden[0] + az * golden[1],
        az * golden[0] + ax * golden[1],
        ax * golden[0] + ay * golden[1],
    )
    return _ones(np.maximum(np.maximum(corners[0], corners[1]), corners[2]) > 0.935)


def stripes(paint: Paint, x: Floats, y: Floats, z: Floats) -> Floats:
    """`count` pairs of level stripes."""
    return _ones((((np.clip(y, -0.98, 0.98) + 1) * paint.count).astype(np.int32) & 1) == 1)


def hoops(paint: Paint, x: Floats, y: Floats, z: Floats) -> Floats:
    """The two ridges and the rims of a steel drum, and a bung on its lid."""
    lid = (np.abs(y) > 0.99) & (((x - 0.5) ** 2 + z**2 < 0.03) | (x**2 + z**2 > 0.82))
    return _ones((np.abs(np.abs(y) - 0.36) < 0.06) | ((np.abs(y) > 0.93) & (np.abs(y) < 0.99)) | lid)


def speckles(paint: Paint, x: Floats, y: Floats, z: Floats) -> Floats:
    """Leaves, stone, bark: noise as the pattern itself."""
    u, v = paint.offset
    return noise(x * 0.11 + y * 0.07 + u, z * 0.11 + y * 0.13 + v)


def slats(paint: Paint, x: Floats, y: Floats, z: Floats) -> Floats:
    """A wooden crate: a frame around gaps between boards."""
    _, up, frame = _face(x, y, z)
    gaps: Floats = np.where(frame, 0, 0.35 + 0.65 * (np.abs(np.sin(up * 9)) < 0.25))
    return gaps


def boards(paint: Paint, x: Floats, y: Floats, z: Floats) -> Floats:
    """Boards side by side."""
    across, _, _ = _face(x, y, z)
    return 0.9 * _ones(np.abs(np.sin(across * 6 + 0.5)) < 0.18)


def braces(paint: Paint, x: Floats, y: Floats, z: Floats) -> Floats:
    """A crate with a diagonal cross inside its frame."""
    across, up, frame = _face(x, y, z)
    solid = frame | (np.abs(across - up) < 0.16) | (np.abs(across + up) < 0.16)
    return np.where(solid, 0, 0.8).astype(np.float32)


def _face(x: Floats, y: Floats, z: Floats) -> tuple[Floats, Floats, np.ndarray]:
    ax, ay, az = np.abs(x), np.abs(y), np.abs(z)
    side, top = (ax >= ay) & (ax >= az), (ay > ax) & (ay >= az)
    across, up = np.where(side, z, x), np.where(top, z, y)
    return across, up, np.maximum(np.abs(across), np.abs(up)) > 0.8


def bricks(paint: Paint, x: Floats, y: Floats, z: Floats) -> Floats:
    """Mortar between bricks of one size, whatever the wall measures."""
    width, height, _ = paint.size_m
    level = (y + 1) * height * 3.2
    row = np.floor(level)
    column = x * width * 1.6 + (row.astype(np.int32) & 1) * 0.5
    return _ones((np.abs(column - np.round(column)) < 0.05) | (np.abs(level - row) < 0.1))


def windows(paint: Paint, x: Floats, y: Floats, z: Floats) -> Floats:
    """Rows of house windows on the four walls."""
    width, height, depth = paint.size_m
    across = np.where(np.abs(x) > 0.99, z * depth, x * width) * 0.55
    up = (y + 1) * height * 0.55
    inside = (np.abs(across - np.floor(across) - 0.5) < 0.22) & (np.abs(up - np.floor(up) - 0.55) < 0.24)
    whole = np.floor(up) + 0.9 < height * 1.1
    return _ones(inside & whole & (np.abs(y) < 0.99))


def bodywork(paint: Paint, x: Floats, y: Floats, z: Floats) -> Floats:
    """Sill and door lines of a car."""
    doors = (np.abs(x) > 0.98) & (np.abs(np.abs(z + 0.05) - 0.32) < 0.012)
    return _ones((y < -0.72) | (np.abs(y - 0.25) < 0.03) | doors)


def glazing(paint: Paint, x: Floats, y: Floats, z: Floats) -> Floats:
    """Roof and pillars over the glass of a cabin; the second colour is the body's."""
    lean = (y + 1) / 2
    side = np.abs(x) > np.abs(z)
    pillars = np.where(
        side, (np.abs(z) < 0.06) | (np.abs(z) > 0.86 - 0.27 * lean), np.abs(x) > 0.8 - 0.1 * lean
    )
    return _ones((y > 0.8) | (y < -0.9) | pillars)


def lamps(paint: Paint, x: Floats, y: Floats, z: Floats) -> Floats:
    """The two lamps at the ends of a bumper."""
    return _ones(np.abs(x) > 0.62)


def spokes(paint: Paint, x: Floats, y: Floats, z: Floats) -> Floats:
    """A rim with five holes on the caps of a wheel."""
    radius = x * x + z * z
    holes = (np.cos(5 * np.arctan2(x, z)) > 0.35) & (radius > 0.08)
    return np.where((np.abs(y) > 0.99) & (radius < 0.45), np.where(holes, 0.35, 1), 0).astype(np.float32)


def hair(paint: Paint, x: Floats, y: Floats, z: Floats) -> Floats:
    """Hair on top and at the back of a head that looks along z."""
    return _ones(y - 0.55 * z > 0.3)


def cuff(paint: Paint, x: Floats, y: Floats, z: Floats) -> Floats:
    """The lower end of a limb: a hand, a shoe."""
    return _ones(y < -0.74)
