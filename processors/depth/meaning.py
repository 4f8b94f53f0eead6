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
"""Differences below this are not worth keeping, by unit."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """value = output * scale + offset, in `unit`; at `far` or beyond there is no value (the sky)."""

    kind: DepthKind
    unit: str
    scale: float
    offset: float
    far: float
    step: float


def meaning_of(model: PictureModel) -> Meaning:
    """Read the metadata `kind`, `unit`, `scale`, `offset` and `far`; the last three may be left out.

    Raises:
        ModelUnusable: the output is not one map a picture, or the metadata does not say what it means.
    """
    name, shape = model.identity.name, model.output_shape
    if len(shape) not in (3, 4) or (len(shape) == 4 and shape[1] != 1):
        found = "×".join(map(str, shape))
        raise ModelUnusable(f"{name} gives {found} for one picture: expected a depth map, 1×1×h×w or 1×h×w")
    said = model.metadata.get("kind", "nothing")
    if said not in tuple(DepthKind):
        raise ModelUnusable(f"{name}: metadata 'kind' is {said}, expected {' or '.join(DepthKind)}")
    kind, unit, scale = DepthKind(said), model.metadata.get("unit", ""), model.number("scale")
    if (kind is DepthKind.METRIC) != bool(unit):
        raise ModelUnusable(
            f"{name}: metadata 'kind' is {kind} and 'unit' is {unit!r}; a METRIC map has a unit, others none"
        )
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
