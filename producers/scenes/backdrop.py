"""Ground and sky: the colours behind everything, before and without anything that stands there."""

import cv2
import numpy as np

from producers.scenes.paints import Colour, noise
from producers.scenes.shapes import Floats
from producers.scenes.stage import Camera
from producers.scenes.street import Road
from producers.scenes.world import Air, Cover, Ground, World


def column(colour: Colour) -> Floats:
    """A colour as 3×1×1 float32, to be spread over planes."""
    return np.array(colour, np.float32)[:, None, None]


def ground_colour(ground: Ground, air: Air, x: Floats, z: Floats, depth_m: Floats) -> Floats:
    """Colour of the bare ground at world points, 3×H×W for x, z, depth of H×W."""
    c, s = np.float32(np.cos(ground.turn)), np.float32(np.sin(ground.turn))
    a, b = x * c - z * s, x * s + z * c
    o = air.offsets
    broad = noise(a * 0.021 + o[0], b * 0.021 + o[1])
    fine = noise(a * 0.17 + o[2], b * 0.17 + o[3])
    near = np.clip(1.25 - depth_m / 30, 0, 1)
    share = _cover_share(ground, a, b, fine, near)
    first, second = column(ground.colour), column(ground.second)
    colour: Floats = first + share * (second - first)
    colour *= 0.72 + 0.4 * broad + 0.25 * (fine - 0.5) * near
    if ground.road is not None:
        _pave(colour, ground.road, x, z, near=near, fine=fine)
    return colour


def _cover_share(ground: Ground, a: Floats, b: Floats, fine: Floats, near: Floats) -> Floats:
    if ground.cover is Cover.CHECKER:
        odd = (np.floor(a / ground.cell_m) + np.floor(b / ground.cell_m)).astype(np.int32) & 1
        squares: Floats = 0.5 + (odd.astype(np.float32) - 0.5) * near
        return squares
    if ground.cover is Cover.TILES:
        row, line = a / ground.cell_m, b / ground.cell_m
        i, j = np.floor(row), np.floor(line)
        joint = ((row - i < 0.05) | (line - j < 0.05)).astype(np.float32)
        tiles: Floats = (joint + ((i * 7 + j * 13).astype(np.int32) % 5).astype(np.float32) * 0.09) * near
        return tiles
    clumps: Floats = np.clip((fine - 0.45) * 2.2, 0, 1) * (0.25 + 0.75 * near)
    return clumps


def _pave(colour: Floats, road: Road, x: Floats, z: Floats, *, near: Floats, fine: Floats) -> None:
    """Draw the road, its lines, kerbs and pavements over the ground, in place."""
    c, s = np.float32(np.cos(road.heading)), np.float32(np.sin(road.heading))
    half = road.half_width_m
    across = np.abs((x - road.x) * c - (z - road.z) * s)
    rows, columns = np.nonzero(across < half + 1.9)
    across, near, fine = across[rows, columns], near[rows, columns], fine[rows, columns]
    along = (x[rows, columns] - road.x) * s + (z[rows, columns] - road.z) * c
    tones = np.array([0.27, 0.62, 0.5], np.float32)
    tone = tones[(across >= half).astype(np.intp) + (across >= half + 0.2)] + 0.1 * (fine - 0.5)
    slab = (along * 0.8 - np.floor(along * 0.8) < 0.05) & (across > half + 0.2)
    tone -= 0.12 * near * slab
    dash = (across < 0.08) & (along * 0.25 - np.floor(along * 0.25) < 0.5)
    tone[dash | (np.abs(across - half + 0.2) < 0.06)] = 0.85
    colour[:, rows, columns] = tone


def sky_colour(world: World, camera: Camera, rows: int, t_s: float) -> Floats:
    """Colour of the sky in the first `rows` rows of the picture, 3×rows×W."""
    light, air = world.light, world.air
    dx, dy, dz = directions(camera, slice(0, rows))
    length = 1 / np.sqrt(dx * dx + dy * dy + dz * dz)
    rise = np.clip(dy * length, -1, 1)
    zenith, horizon = column(light.zenith), column(light.horizon)
    colour = horizon + np.sqrt(np.clip(rise * 1.9, 0, 1)) * (zenith - horizon)
    flat = 0.09 / (np.maximum(rise, 0) + 0.25)
    drift = air.drift * t_s
    cloud = noise(dx * flat + air.offsets[4] + drift, dz * flat + air.offsets[5])
    colour += np.clip((cloud - 0.5) * 3, 0, 1) * np.clip(rise * 6, 0, 1) * air.cloud * (1 - colour)
    lx, ly, lz = (np.float32(part) for part in light.towards)
    facing = np.clip((dx * lx + dy * ly + dz * lz) * length, 0, 1)
    colour += _glow(facing) * column(light.sun)
    _raise_hills(colour, world, np.arctan2(dx, dz), rise)
    return colour


def _glow(facing: Floats) -> Floats:
    """Light around the sun and its disc: powers 24 and 384, by squaring."""
    eighth = facing * facing
    eighth *= eighth
    eighth *= eighth
    halo = eighth * eighth * eighth
    disc = halo * halo
    for _ in range(3):
        disc *= disc
    return 0.45 * halo + 0.8 * disc


def _raise_hills(colour: Floats, world: World, azimuth: Floats, rise: Floats) -> None:
    for layer, (pace, height, mist) in enumerate(((0.31, 1.0, 0.62), (0.7, 0.6, 0.42))):
        offset = world.air.offsets
        line = noise(azimuth * (pace / 3.14) + offset[layer], np.full_like(azimuth, offset[layer + 2]))
        cool = np.array((0.85, 0.95, 1.05), np.float32)[:, None, None]
        hill = column(world.light.horizon) * mist * cool + column(world.ground.colour) * (1 - mist) * 0.6
        inside = rise < world.air.hill * height * (0.25 + line)
        np.copyto(colour, hill, where=inside)


def directions(camera: Camera, rows: slice) -> tuple[Floats, Floats, Floats]:
    """World directions of the rays of some rows, each H×W, one metre long along the view."""
    turn, up = camera.turn.astype(np.float32), camera.up[rows]
    x, y, z = ((row[0] * camera.across)[None, :] + (row[1] * up + row[2])[:, None] for row in turn)
    return x, y, z


def soften(mask: Floats, sigma: float) -> Floats:
    """Blur a mask widely at a quarter of its size: smooth and cheap."""
    height, width = mask.shape
    small = cv2.resize(mask, (max(1, width // 4), max(1, height // 4)), interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(small, (0, 0), max(sigma / 4, 0.3))
    return cv2.resize(blurred, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.float32)
