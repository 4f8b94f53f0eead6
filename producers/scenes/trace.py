"""Rays: which part each pixel sees, how far it is, and whether the sun reaches it.

Depth is along the view (a plane in front of the camera has one depth), in metres. No colour.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from producers.scenes.shapes import Bools, Floats, Point, hit
from producers.scenes.stage import Camera, Placed, Window

GROUND, SKY = -1, -2
_HORIZON_M = 400.0
_SKY_M = np.float32(1e5)


@dataclass(frozen=True, slots=True)
class Sight:
    """What the pixels see.

    `depth_m` H×W float32; `part` H×W int16, an index into the placed parts, or GROUND, or SKY.
    `outlines` has, per placed part, its window and the pixels it would take if it stood alone.
    """

    depth_m: Floats
    part: NDArray[np.int16]
    outlines: tuple[tuple[Window, Bools] | None, ...]


def look(camera: Camera, placed: list[Placed]) -> Sight:
    """Cast one ray per pixel."""
    depth = ground_depth(camera)
    part = np.where(depth < _SKY_M, GROUND, SKY).astype(np.int16)
    outlines: list[tuple[Window, Bools] | None] = []
    for index, one in enumerate(placed):
        if one.seen is None:
            outlines.append(None)
            continue
        origin, direction = rays(camera, one, one.seen)
        t = hit(one.part.shape, one.part.taper, origin, direction)
        nearer = t < depth[one.seen]
        np.copyto(depth[one.seen], t, where=nearer)
        np.copyto(part[one.seen], np.int16(index), where=nearer)
        outlines.append((one.seen, np.isfinite(t)))
    return Sight(depth, part, tuple(outlines))


def rays(camera: Camera, one: Placed, window: Window) -> tuple[Point, Point]:
    """Start and directions of a window's rays in the unit solid of a part; directions have one view metre."""
    mix = (one.into @ camera.turn).astype(np.float32)
    start = (one.into @ (camera.place - one.centre)).astype(np.float32)
    across, up = camera.across[window[1]], camera.up[window[0]]
    x, y, z = ((row[0] * across)[None, :] + (row[1] * up + row[2])[:, None] for row in mix)
    return (start[0], start[1], start[2]), (x, y, z)


def shadows(
    camera: Camera, placed: list[Placed], sight: Sight, towards: tuple[float, float, float]
) -> Floats:
    """1 where a part stands between a pixel's surface and the sun, else 0; H×W float32."""
    dark = np.zeros(sight.depth_m.shape, np.bool_)
    sun = np.array(towards)
    for index, one in enumerate(placed):
        if one.shaded is None:
            continue
        depth = sight.depth_m[one.shaded]
        (ox, oy, oz), (dx, dy, dz) = rays(camera, one, one.shaded)
        points = ox + depth * dx, oy + depth * dy, oz + depth * dz
        lx, ly, lz = (one.into @ sun).astype(np.float32)
        blocked = np.isfinite(hit(one.part.shape, one.part.taper, points, (lx, ly, lz)))
        dark[one.shaded] |= blocked & (sight.part[one.shaded] != index)
    reached: Floats = (dark & (sight.part != SKY)).astype(np.float32)
    return reached


def ground_depth(camera: Camera) -> Floats:
    """Depth of the bare ground under each pixel, H×W float32 metres; 100 km where the sky begins."""
    row = camera.turn[1].astype(np.float32)
    down = (row[0] * camera.across)[None, :] + (row[1] * camera.up + row[2])[:, None]
    depth = np.float32(-camera.place[1]) / np.minimum(down, np.float32(-1e-6))
    return np.where(depth < _HORIZON_M, depth, _SKY_M)
