"""What the numbers of a depth model mean, from its metadata, and those numbers as depth values.

Never guesses a kind: a model that does not say what it gives is refused. Never rescales by picture.
"""

from dataclasses import dataclass
from math import inf

import cv2
import numpy as np

from framefuse.errors import ModelUnusable
from framefuse.pictures.decoding import Values
from processors.picture_model import PictureModel, Tensor
from schemas.records import DepthKind

LONG_SIDE = 1024
"""Most pixels along a map's longer side."""
METRIC_STEP = {"m": 0.005}
"""Differences below this are not worth keeping, by unit; a METRIC map has one of these."""
_OTHER_TASKS = frozenset({"detect", "segment", "semantic", "classify", "pose", "obb"})
"""What the metadata `task` of Ultralytics' files says of models that give no depth."""
_SMALLEST, _LARGEST = 1 / 16, 4.0
"""Sides of a map, as parts of the sides of its input; depth models stay far within."""
_MOST_STRETCHED = 2.0
"""A map covers the picture, so its aspect is that of the input, but for rounding."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """value = output * scale + offset, in `unit`; at `far` or beyond there is no value (the sky)."""

    kind: DepthKind
    unit: str
    scale: float
    offset: float
    far: float
    step: float


def verify_map(model: PictureModel) -> None:
    """Refuse what gives no map of its pictures, such as a detector, whose numbers would pass for depth.

    The shape is that of the run which opened the model, so files of free size are told from detectors too.

    Raises:
        ModelUnusable: the output is not one map a picture, or the metadata says another task.
    """
    name, shape, task = model.identity.name, model.output_shape, model.metadata.get("task")
    if task in _OTHER_TASKS:
        raise ModelUnusable(f"{name}: its task is {task}: expected a depth model")
    found = f"{name} gives {'×'.join(map(str, shape))} for one picture"
    if len(shape) not in (3, 4) or (len(shape) == 4 and shape[1] != 1):
        raise ModelUnusable(f"{found}: expected a depth map, 1×1×h×w or 1×h×w")
    down, across = shape[-2] / model.input.height, shape[-1] / model.input.width
    small, large = min(down, across), max(down, across)
    if small < _SMALLEST or large > _LARGEST or large > _MOST_STRETCHED * small:
        raise ModelUnusable(
            f"{found} of {model.input.height}×{model.input.width}: expected a depth map of its aspect, "
            f"1×1×h×w or 1×h×w, with sides of 1/{1 / _SMALLEST:g} to {_LARGEST:g} times the picture's"
        )


def meaning_of(model: PictureModel) -> Meaning:
    """Read the metadata `kind`, `unit`, `scale`, `offset` and `far`; the last three may be left out.

    Raises:
        ModelUnusable: the metadata does not say what the numbers mean.
    """
    name, said = model.identity.name, model.metadata.get("kind", "nothing")
    if said not in tuple(DepthKind):
        raise ModelUnusable(f"{name}: metadata 'kind' is {said}, expected {' or '.join(DepthKind)}")
    kind, unit, scale = DepthKind(said), model.metadata.get("unit", ""), model.number("scale")
    if (kind is DepthKind.METRIC) != bool(unit):
        raise ModelUnusable(
            f"{name}: metadata 'kind' is {kind} and 'unit' is {unit!r}; a METRIC map has a unit, others none"
        )
    if unit and unit not in METRIC_STEP:
        raise ModelUnusable(f"{name}: metadata 'unit' is {unit!r}, expected {' or '.join(METRIC_STEP)}")
    if scale is not None and not 0 < scale < inf:
        raise ModelUnusable(f"{name}: metadata 'scale' is {scale:g}, expected a positive number")
    far = model.number("far")
    return Meaning(
        kind,
        unit,
        scale or 1.0,
        model.number("offset") or 0.0,
        far=inf if far is None else far,
        step=METRIC_STEP.get(unit, 0.0),
    )


def values_of(output: Tensor, meaning: Meaning) -> Values | None:
    """Depth values from one map of the model.

    Args:
        output: 1×h×w or h×w.
        meaning: of its numbers.

    Returns:
        h×w float32, the longer side at most `LONG_SIDE`, NaN where there is no value; None when the output
        holds NaN, which no model gives in good health.
    """
    values = output.reshape(output.shape[-2:]).astype(np.float32)
    values = values * np.float32(meaning.scale) + np.float32(meaning.offset)
    if np.isnan(values).any():
        return None
    nothing = ~np.isfinite(values)
    if meaning.kind is DepthKind.METRIC:
        nothing |= (values <= 0) | (values >= meaning.far)
    values[nothing] = np.nan
    return _limited(values)


def _limited(values: Values) -> Values:
    """Nearest pixel: a mean of an object and its background would be a distance where nothing is."""
    height, width = values.shape
    shrink = LONG_SIDE / max(height, width)
    if shrink >= 1:
        return values
    size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_NEAREST), np.float32)
