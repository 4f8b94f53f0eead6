"""Unit solids: where a ray meets one, and which way its surface faces there.

Every solid fills the cube from -1 to 1; a caller brings rays into that cube. Knows geometry only:
no colour, no camera. Arrays hold float32. Misses are infinite, so solids combine by taking the minimum.
"""

from enum import Enum, auto
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]
Coordinate = Floats | float
Point = tuple[Coordinate, Coordinate, Coordinate]
Taper = tuple[float, float]

_NEAR = 1e-3
_INF = np.float32(np.inf)


class Shape(Enum):
    """The solids we know; `DRUM` and `CONE` stand on the y axis, a `WEDGE` narrows towards y = 1."""

    BOX = auto()
    BALL = auto()
    DRUM = auto()
    CONE = auto()
    WEDGE = auto()


def hit(shape: Shape, taper: Taper, origin: Point, direction: Point) -> Floats:
    """Distance along each ray to the first surface in front of it.

    Args:
        shape: which solid.
        taper: half widths (x, z) of a wedge at y = 1; other solids ignore it.
        origin: x, y, z of the rays' start, each a number or an array.
        direction: x, y, z of the rays; the distance counts in lengths of this vector.

    Returns:
        float32 in the broadcast shape of the inputs; infinite where the ray misses.
    """
    match shape:
        case Shape.BOX:
            return _hit_box(origin, direction)
        case Shape.BALL:
            return _hit_ball(origin, direction)
        case Shape.DRUM:
            return _hit_drum(origin, direction)
        case Shape.CONE:
            return _hit_cone(origin, direction)
        case Shape.WEDGE:
            return _hit_wedge(taper, origin, direction)


def normal(shape: Shape, taper: Taper, x: Floats, y: Floats, z: Floats) -> tuple[Floats, Floats, Floats]:
    """Outward direction at surface points of a unit solid, not normalised.

    Args:
        shape: which solid.
        taper: as in `hit`.
        x: n coordinates of points on the surface.
        y: likewise.
        z: likewise.

    Returns:
        Three arrays of n float32.
    """
    match shape:
        case Shape.BOX:
            return _normal_box(x, y, z)
        case Shape.BALL:
            return x, y, z
        case Shape.DRUM:
            cap = np.abs(y) > 0.999
            return np.where(cap, 0, x), np.where(cap, np.sign(y), 0), np.where(cap, 0, z)
        case Shape.CONE:
            base = y < -0.999
            return (
                np.where(base, 0, x),
                np.where(base, -1, np.maximum((1 - y) * 0.25, 1e-3)),
                np.where(base, 0, z),
            )
        case Shape.WEDGE:
            return _normal_wedge(taper, x, y, z)


def _hit_box(origin: Point, direction: Point) -> Floats:
    enter: Coordinate = -np.inf
    leave: Coordinate = np.inf
    for o, d in zip(origin, direction, strict=True):
        inverse = 1 / d
        middle, reach = -o * inverse, np.abs(inverse)
        enter, leave = np.maximum(enter, middle - reach), np.minimum(leave, middle + reach)
    return np.where((enter < leave) & (enter > _NEAR), enter, _INF).astype(np.float32, copy=False)


def _hit_ball(origin: Point, direction: Point) -> Floats:
    (ox, oy, oz), (dx, dy, dz) = origin, direction
    a = dx * dx + dy * dy + dz * dz
    b = ox * dx + oy * dy + oz * dz
    root = b * b - a * (ox * ox + oy * oy + oz * oz - 1)
    t = (-b - np.sqrt(np.maximum(root, 0))) / a
    return np.where((root > 0) & (t > _NEAR), t, _INF).astype(np.float32, copy=False)


def _hit_drum(origin: Point, direction: Point) -> Floats:
    (ox, oy, oz), (dx, dy, dz) = origin, direction
    a = dx * dx + dz * dz
    b = ox * dx + oz * dz
    root = b * b - a * (ox * ox + oz * oz - 1)
    side = (-b - np.sqrt(np.maximum(root, 0))) / a
    meets = (root > 0) & (side > _NEAR) & (np.abs(oy + side * dy) <= 1)
    cap = (-np.sign(dy) - oy) / dy
    return np.minimum(np.where(meets, side, _INF), _inside_disc(cap, origin, direction))


def _hit_cone(origin: Point, direction: Point) -> Floats:
    (ox, oy, oz), (dx, dy, dz) = origin, direction
    e, g = (1 - oy) * 0.5, -dy * 0.5
    a = dx * dx + dz * dz - g * g
    b = ox * dx + oz * dz - e * g
    root = b * b - a * (ox * ox + oz * oz - e * e)
    spread = np.sqrt(np.maximum(root, 0))
    best = _inside_disc((-1 - oy) / dy, origin, direction)
    for t in ((-b - spread) / a, (-b + spread) / a):
        meets = (root > 0) & (t > _NEAR) & (np.abs(oy + t * dy) <= 1)
        best = np.minimum(best, np.where(meets, t, _INF))
    return best


def _inside_disc(t: Coordinate, origin: Point, direction: Point) -> Floats:
    x, z = origin[0] + t * direction[0], origin[2] + t * direction[2]
    return np.where((x * x + z * z <= 1) & (t > _NEAR), t, _INF).astype(np.float32, copy=False)


def _hit_wedge(taper: Taper, origin: Point, direction: Point) -> Floats:
    (ox, oy, oz), (dx, dy, dz) = origin, direction
    enter: Coordinate = -np.inf
    leave: Coordinate = np.inf
    for nx, ny, nz, reach in _wedge_planes(taper):
        slope = nx * dx + ny * dy + nz * dz
        t = (reach - (nx * ox + ny * oy + nz * oz)) / slope
        enter = np.maximum(enter, np.where(slope < 0, t, -_INF))
        leave = np.minimum(leave, np.where(slope > 0, t, _INF))
    return np.where((enter < leave) & (enter > _NEAR), enter, _INF).astype(np.float32, copy=False)


def _wedge_planes(taper: Taper) -> tuple[tuple[float, float, float, float], ...]:
    lean_x, lean_z = (1 - taper[0]) / 2, (1 - taper[1]) / 2
    return (
        (0.0, 1.0, 0.0, 1.0),
        (0.0, -1.0, 0.0, 1.0),
        (1.0, lean_x, 0.0, 1 - lean_x),
        (-1.0, lean_x, 0.0, 1 - lean_x),
        (0.0, lean_z, 1.0, 1 - lean_z),
        (0.0, lean_z, -1.0, 1 - lean_z),
    )


def _normal_box(x: Floats, y: Floats, z: Floats) -> tuple[Floats, Floats, Floats]:
    ax, ay, az = np.abs(x), np.abs(y), np.abs(z)
    most = np.maximum(np.maximum(ax, ay), az) - 1e-4
    return (
        np.where(ax >= most, np.sign(x), 0),
        np.where(ay >= most, np.sign(y), 0),
        np.where(az >= most, np.sign(z), 0),
    )


def _normal_wedge(taper: Taper, x: Floats, y: Floats, z: Floats) -> tuple[Floats, Floats, Floats]:
    planes = np.array(_wedge_planes(taper), np.float32)
    excess = planes[:, 0:1] * x + planes[:, 1:2] * y + planes[:, 2:3] * z - planes[:, 3:4]
    faces = planes[np.argmax(excess, axis=0)]
    return faces[:, 0], faces[:, 1], faces[:, 2]
