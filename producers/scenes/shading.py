"""Light: from what the rays see to linear colours.

Sun with shadows, sky light from above, contact shade, highlights, haze. Colours stay linear; the
caller brings them to eight bits.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from producers.scenes.backdrop import column, directions, ground_colour, sky_colour, soften
from producers.scenes.paints import albedo
from producers.scenes.shapes import Floats, normal
from producers.scenes.stage import Camera, Placed
from producers.scenes.trace import GROUND, SKY, Sight, shadows
from producers.scenes.world import Light, World

_SUN = 0.92
_HAZE = 0.9
_HAZE_FROM_M = 4.0


@dataclass(frozen=True, slots=True)
class _Surface:
    """n visible points of parts: flat picture index, world position and normal (3×n), colour (3×n)."""

    index: np.ndarray
    place: Floats
    normal: Floats
    colour: Floats
    gloss: Floats


def shade(world: World, camera: Camera, placed: list[Placed], sight: Sight, t_s: float) -> Floats:
    """Linear colour of every pixel, 3×H×W float32."""
    height, width = sight.part.shape
    fine = width / 320
    shadow = cv2.GaussianBlur(
        shadows(camera, placed, sight, world.light.towards), (0, 0), max(0.5, 0.9 * fine)
    ) * np.float32(world.light.shadow)
    canvas = np.empty((3, height, width), np.float32)
    _paint_backdrop(canvas, world, camera, sight, shadow=shadow, t_s=t_s)
    surface = _gather(camera, placed, sight)
    if surface is not None:
        depth, dark = sight.depth_m.ravel()[surface.index], shadow.ravel()[surface.index]
        colour = _light_surface(world, camera, surface, dark)
        canvas.reshape(3, -1)[:, surface.index] = _haze(world, colour, depth)
    return canvas


def _ambient(light: Light, ndim: int) -> Floats:
    tint = np.array(light.zenith, np.float32) * 0.5 + 0.55
    return (light.ambient * tint).reshape(3, *[1] * (ndim - 1)).astype(np.float32)


def _haze(world: World, colour: Floats, depth: Floats) -> Floats:
    share = _HAZE * (1 - np.exp(-np.maximum(depth - _HAZE_FROM_M, 0) / world.air.haze_m))
    horizon = np.array(world.light.horizon, np.float32).reshape(3, *[1] * (colour.ndim - 1))
    colour += share * (horizon - colour)
    return colour


def _paint_backdrop(
    canvas: Floats, world: World, camera: Camera, sight: Sight, *, shadow: Floats, t_s: float
) -> None:
    sky, ground = (sight.part == SKY).any(axis=1), (sight.part == GROUND).any(axis=1)
    if sky.any():
        rows = int(np.flatnonzero(sky)[-1]) + 1
        canvas[:, :rows] = sky_colour(world, camera, rows, t_s)
    if not ground.any():
        return
    rows_below = slice(int(np.flatnonzero(ground)[0]), None)
    depth = sight.depth_m[rows_below]
    dx, _, dz = directions(camera, rows_below)
    reach = np.minimum(depth, 500.0)
    x, z = np.float32(camera.place[0]) + reach * dx, np.float32(camera.place[2]) + reach * dz
    colour = ground_colour(world.ground, world.air, x, z, depth)
    width = sight.part.shape[1]
    contact = 1 - 0.35 * soften((sight.part[rows_below] >= 0).astype(np.float32), 3 * width / 320)
    sun = np.float32(_SUN * world.light.towards[1]) * (1 - shadow[rows_below])
    colour *= _ambient(world.light, 3) * contact + sun * column(world.light.sun)
    np.copyto(canvas[:, rows_below], _haze(world, colour, depth), where=sight.part[rows_below] == GROUND)


def _gather(camera: Camera, placed: list[Placed], sight: Sight) -> _Surface | None:
    """Collect the visible points of all parts, each part's from its own window."""
    found = []
    for number, one in enumerate(placed):
        if one.seen is None:
            continue
        rows, columns = np.nonzero(sight.part[one.seen] == number)
        if rows.size:
            rows, columns = rows + one.seen[0].start, columns + one.seen[1].start
            found.append(_points(camera, one, sight, rows, columns))
    if not found:
        return None
    index = np.concatenate([surface.index for surface in found])
    gloss = np.concatenate([surface.gloss for surface in found])
    place, face, colour = (
        np.concatenate([getattr(surface, name) for surface in found], axis=1)
        for name in ("place", "normal", "colour")
    )
    return _Surface(index, place, face, colour, gloss)


def _points(camera: Camera, one: Placed, sight: Sight, rows: np.ndarray, columns: np.ndarray) -> _Surface:
    index = rows * sight.part.shape[1] + columns
    depth = sight.depth_m.ravel()[index]
    view = np.stack([camera.across[columns] * depth, camera.up[rows] * depth, depth])
    place = camera.turn.astype(np.float32) @ view + camera.place.astype(np.float32)[:, None]
    x, y, z = one.into.astype(np.float32) @ (place - one.centre.astype(np.float32)[:, None])
    face = one.into.T.astype(np.float32) @ np.stack(normal(one.part.shape, one.part.taper, x, y, z))
    face /= np.sqrt((face * face).sum(axis=0) + 1e-9)
    colour = albedo(one.part.paint, x, y, z)
    return _Surface(index, place, face, colour, np.full(index.size, one.part.paint.gloss, np.float32))


def _light_surface(world: World, camera: Camera, surface: _Surface, dark: Floats) -> Floats:
    light = world.light
    towards = np.array(light.towards, np.float32)
    sun = np.array(light.sun, np.float32)[:, None]
    open_to_sky = (0.62 + 0.38 * surface.normal[1]) * np.clip(0.62 + 0.7 * surface.place[1], 0.62, 1)
    facing = np.clip(towards @ surface.normal, 0, 1) * (1 - dark)
    colour: Floats = surface.colour * (_ambient(light, 2) * open_to_sky + (np.float32(_SUN) * facing) * sun)
    view = camera.place.astype(np.float32)[:, None] - surface.place
    halfway = view / np.sqrt((view * view).sum(axis=0)) + towards[:, None]
    halfway /= np.sqrt((halfway * halfway).sum(axis=0) + 1e-9)
    shine = np.clip((halfway * surface.normal).sum(axis=0), 0, 1) ** 32
    colour += (0.8 * shine * surface.gloss * (1 - dark)) * sun
    return colour
