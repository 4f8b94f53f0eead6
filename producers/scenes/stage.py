"""The world at one moment: every part where it is, and where it falls in the picture.

Geometry in metres; the camera frame has x right, y up, z along the view. No colour.
"""

from dataclasses import dataclass
from math import cos, sin, tan

import numpy as np
from numpy.typing import NDArray

from producers.scenes.motion import Pose, stride_phase
from producers.scenes.shapes import Floats
from producers.scenes.things import Joint, Part, Thing
from producers.scenes.world import FIELD_OF_VIEW, World

Doubles = NDArray[np.float64]
Window = tuple[slice, slice]
_NEAR_M = 0.2
_CORNERS = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)


@dataclass(frozen=True, slots=True)
class Camera:
    """A pinhole without distortion.

    `across` (W) and `up` (H) are the ray components of each column and row for a ray that goes one
    metre along the view; `turn` (3×3) takes camera directions to the world; `focal` in pixels.
    """

    place: Doubles
    turn: Doubles
    focal: float
    across: Floats
    up: Floats


@dataclass(frozen=True, slots=True)
class Placed:
    """A part at a moment.

    `into` (3×3) takes world directions into the unit solid; `centre` in metres. `seen` and `shaded`
    are the parts of the picture that it and its shadow may touch, None when none. `spread` is its
    box in pixels before clipping: x_min, y_min, x_max, y_max.
    """

    owner: int
    part: Part
    centre: Doubles
    turn: Doubles
    into: Doubles
    seen: Window | None
    shaded: Window | None
    spread: tuple[float, float, float, float]


def aim(world: World, t_s: float, width: int, height: int) -> Camera:
    """The camera of a world at a time, for a picture of `width`×`height` pixels."""
    shift, high, yaw, pitch = world.camera.at(t_s)
    turn = _about_y(yaw) @ _about_x(pitch) @ _about_z(world.camera.roll)
    focal = width / 2 / tan(FIELD_OF_VIEW / 2)
    across = (np.arange(width) + 0.5 - width / 2) / focal
    up = -(np.arange(height) + 0.5 - height / 2) / focal
    place = np.array([shift, high, 0.0])
    return Camera(place, turn, focal, across.astype(np.float32), up.astype(np.float32))


def pose_parts(world: World, camera: Camera, t_s: float) -> list[Placed]:
    """All parts that the picture or a shadow in it may show."""
    towards = np.array(world.light.towards)
    placed = []
    for owner, standing in enumerate(world.standing):
        pose = standing.motion.at(t_s)
        base = _about_y(pose.heading)
        for part in standing.thing.parts:
            turn, local = _articulate(part, standing.thing, pose)
            centre = base @ local + (pose.x, pose.y, pose.z)
            one = _place(owner, part, base @ turn, centre, camera, towards=towards)
            if one.seen is not None or one.shaded is not None:
                placed.append(one)
    return placed


def _articulate(part: Part, thing: Thing, pose: Pose) -> tuple[Doubles, Doubles]:
    """Turn and centre of a part in the frame of its thing."""
    centre = np.array(part.centre, float)
    base = _about_z(np.pi / 2) if part.lying else np.eye(3)
    match part.joint:
        case Joint.FIXED:
            return base, centre
        case Joint.WHEEL:
            radius = part.half[2] if part.lying else part.half[1]
            return _about_x(pose.travelled_m / radius) @ base, centre
        case Joint.SWING:
            swing = _about_x(part.swing * stride_phase(pose.travelled_m, thing.stride_m))
            pivot = np.array(part.pivot)
            return swing @ base, pivot + swing @ (centre - pivot)


def _place(
    owner: int, part: Part, turn: Doubles, centre: Doubles, camera: Camera, *, towards: Doubles
) -> Placed:
    half = np.array(part.half)
    corners = (_CORNERS * half) @ turn.T + centre
    fallen = corners - towards * (np.maximum(corners[:, 1:2], 0) / towards[1])
    seen, spread = _window(corners, camera)
    shaded, _ = _window(np.concatenate([corners, fallen]), camera)
    return Placed(owner, part, centre, turn, turn.T / half[:, None], seen, shaded, spread)


def _window(points: Doubles, camera: Camera) -> tuple[Window | None, tuple[float, float, float, float]]:
    """The rectangle of the picture that points span, and the same without clipping."""
    width, height = camera.across.size, camera.up.size
    local = (points - camera.place) @ camera.turn
    front = local[:, 2] > _NEAR_M
    if not front.any():
        return None, (0.0, 0.0, 0.0, 0.0)
    if not front.all():
        local = _cut_at_near(local)
    x = local[:, 0] / local[:, 2] * camera.focal + width / 2
    y = -local[:, 1] / local[:, 2] * camera.focal + height / 2
    spread = float(x.min()), float(y.min()), float(x.max()), float(y.max())
    left, right = max(0, int(spread[0])), min(width, int(min(spread[2], width)) + 2)
    top, bottom = max(0, int(spread[1])), min(height, int(min(spread[3], height)) + 2)
    if left >= right or top >= bottom or spread[2] < 0 or spread[3] < 0:
        return None, spread
    return (slice(top, bottom), slice(left, right)), spread


def _cut_at_near(local: Doubles) -> Doubles:
    """Points in front, and where lines from them to the points behind pass the near plane."""
    front, behind = local[local[:, 2] > _NEAR_M], local[local[:, 2] <= _NEAR_M]
    step = (front[:, None, 2] - _NEAR_M) / (front[:, None, 2] - behind[None, :, 2])
    cut = front[:, None] + step[..., None] * (behind[None] - front[:, None])
    return np.concatenate([front, cut.reshape(-1, 3)])


def _about_x(angle: float) -> Doubles:
    """Positive angles turn the view down and roll a wheel forward."""
    c, s = cos(angle), sin(angle)
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]], float)


def _about_y(angle: float) -> Doubles:
    c, s = cos(angle), sin(angle)
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]], float)


def _about_z(angle: float) -> Doubles:
    c, s = cos(angle), sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]], float)
