"""Pictures with their truth: procedural scenes as test data, demo source and training data in one.

`render` draws any moment of any seed: the picture, every object's visible box, and the exact depth of
every pixel. The same arguments give the same answer. Opens no file, knows no Kafka and no model.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from framefuse.errors import BadInput
from producers.scenes.shading import shade
from producers.scenes.shapes import Floats
from producers.scenes.stage import Placed, aim, pose_parts
from producers.scenes.things import KNOWN
from producers.scenes.trace import SKY, Sight, look
from producers.scenes.world import World, build_world

LABELS: tuple[str, ...] = tuple(label for label, _ in KNOWN)
_FINE = ((400, 1.5), (800, 1.25))
_TONES = 4095


@dataclass(frozen=True, slots=True)
class Truth:
    """One object in a picture.

    `box` is x_min, y_min, x_max, y_max in pixels around the visible pixels; max is exclusive.
    `visible` from 0 to 1 is the share of the whole object that the picture shows. `number` names the
    object within its world, the same at all times.
    """

    label: str
    class_id: int
    box: tuple[float, float, float, float]
    visible: float
    number: int = 0


@dataclass(frozen=True, slots=True)
class View:
    """A picture and its truth: `image` H×W×3 uint8 BGR; `depth_m` H×W float32 metres, inf = sky."""

    image: NDArray[np.uint8]
    objects: tuple[Truth, ...]
    depth_m: NDArray[np.float32]


def render(seed: int, t_s: float, width: int, height: int, *, fine: float | None = None) -> View:
    """Draw a moment of a world.

    Args:
        seed: which world, from 0.
        t_s: seconds since its start; any number, things move on for ever.
        width: of the picture in pixels; the field of view is always 64 degrees across.
        height: of the picture in pixels.
        fine: rays per pixel and axis; more is smoother and slower. By default 1.5 for small pictures,
            1.25 up to 800 pixels across, 1 beyond.

    Raises:
        BadInput: a negative seed or a size below 16×16.
    """
    if seed < 0 or min(width, height) < 16:
        raise BadInput(
            f"scene {seed} of {width}x{height} pixels: use a seed from 0 and at least 16x16 pixels"
        )
    world = build_world(seed)
    fine = _usual_fineness(width) if fine is None else fine
    columns, rows = round(width * fine), round(height * fine)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        camera = aim(world, t_s, columns, rows)
        placed = pose_parts(world, camera, t_s)
        sight = look(camera, placed)
        colour = shade(world, camera, placed, sight, t_s)
    objects = _truths(world, placed, sight, (width / columns, height / rows))
    return View(_develop(colour, width, height), objects, _measure(sight, width, height))


def _usual_fineness(width: int) -> float:
    return next((fine for widest, fine in _FINE if width <= widest), 1.0)


def _develop(colour: Floats, width: int, height: int) -> NDArray[np.uint8]:
    """Linear 3×H×W to eight-bit BGR of the wanted size, averaged in linear light."""
    picture = cv2.merge([colour[2], colour[1], colour[0]])
    if picture.shape[:2] != (height, width):
        picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    steps = np.clip(picture * np.float32(1.12 * _TONES), 0, _TONES).astype(np.uint16)
    curve: NDArray[np.uint8] = (255 * (np.arange(_TONES + 1) / _TONES) ** 0.74 + 0.5).astype(np.uint8)
    return np.asarray(curve[steps], np.uint8)


def _measure(sight: Sight, width: int, height: int) -> NDArray[np.float32]:
    depth = np.where(sight.part == SKY, np.float32(np.inf), sight.depth_m)
    rows = ((np.arange(height) + 0.5) * depth.shape[0] / height).astype(np.intp)
    columns = ((np.arange(width) + 0.5) * depth.shape[1] / width).astype(np.intp)
    return np.ascontiguousarray(depth[rows[:, None], columns[None, :]])


def _truths(
    world: World, placed: list[Placed], sight: Sight, scale: tuple[float, float]
) -> tuple[Truth, ...]:
    members: dict[int, list[int]] = {}
    for index, one in enumerate(placed):
        if one.seen is not None and world.standing[one.owner].class_id >= 0:
            members.setdefault(one.owner, []).append(index)
    truths = []
    for owner, indices in members.items():
        truth = _truth(world.standing[owner].class_id, [placed[i] for i in indices], indices, sight, scale)
        if truth is not None:
            truths.append(replace(truth, number=owner))
    return tuple(truths)


def _truth(
    class_id: int, parts: list[Placed], indices: list[int], sight: Sight, scale: tuple[float, float]
) -> Truth | None:
    """Box and visible share of one thing from the windows of its parts; None when nothing shows."""
    windows = [part.seen for part in parts if part.seen is not None]
    top, left = min(w[0].start for w in windows), min(w[1].start for w in windows)
    bottom, right = max(w[0].stop for w in windows), max(w[1].stop for w in windows)
    alone = np.zeros((bottom - top, right - left), np.bool_)
    for index in indices:
        outline = sight.outlines[index]
        if outline is not None:
            (ys, xs), mask = outline
            alone[ys.start - top : ys.stop - top, xs.start - left : xs.stop - left] |= mask
    shown = np.isin(sight.part[top:bottom, left:right], indices)
    rows, columns = np.flatnonzero(shown.any(axis=1)), np.flatnonzero(shown.any(axis=0))
    if not rows.size:
        return None
    box = (
        float((left + columns[0]) * scale[0]),
        float((top + rows[0]) * scale[1]),
        float((left + columns[-1] + 1) * scale[0]),
        float((top + rows[-1] + 1) * scale[1]),
    )
    share = int(shown.sum()) / max(1, int(alone.sum())) * _inside(parts, sight.part.shape)
    return Truth(LABELS[class_id], class_id, box, min(1.0, share))


def _inside(parts: list[Placed], shape: tuple[int, ...]) -> float:
    """Share of a thing's box that lies inside the picture."""
    spreads = np.array([part.spread for part in parts if part.seen is not None])
    low, high = spreads[:, :2].min(axis=0), spreads[:, 2:].max(axis=0)
    cut = np.minimum(high, (shape[1], shape[0])) - np.maximum(low, 0)
    return float(np.prod(np.maximum(cut, 0)) / max(1e-3, float(np.prod(high - low))))
