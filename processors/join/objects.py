"""Depth of objects: what a depth map says under each box. Knows pixels only: no outcome, no encoding."""

from collections.abc import Sequence
from math import ceil, floor, isfinite

import numpy as np

from framefuse.pictures.decoding import Values
from schemas.records import Box, FusedObject, Object, ObjectDepth


def with_depth(
    objects: Sequence[Object], values: Values | None, *, width: int, height: int
) -> tuple[FusedObject, ...]:
    """The objects by falling score, each with its depth.

    Args:
        objects: boxes in pixels of the source frame.
        values: the map of the whole frame, at any resolution; None: no object gets a depth.
        width: pixels of the source frame.
        height: pixels of the source frame.
    """
    return tuple(
        FusedObject(
            found.label,
            found.class_id,
            found.score,
            found.box,
            None if values is None else depth_under(found.box, values, width=width, height=height),
        )
        for found in sorted(objects, key=lambda found: -found.score)
    )


def depth_under(box: Box, values: Values, *, width: int, height: int) -> ObjectDepth | None:
    """Median, 10th and 90th percentile of the valid values under a box, and the part that is valid.

    Every map pixel that the box touches counts, at least one. None where the box lies outside the frame or
    no value under it is valid.
    """
    rows = _span(box.y_min, box.y_max, height, values.shape[0])
    columns = _span(box.x_min, box.x_max, width, values.shape[1])
    if rows is None or columns is None:
        return None
    crop = values[rows, columns]
    valid = crop[np.isfinite(crop)]
    if not valid.size:
        return None
    p10, median, p90 = _percentiles(valid, (0.1, 0.5, 0.9))
    return ObjectDepth(median, p10, p90, valid.size / crop.size)


def _span(low: float, high: float, size: int, map_size: int) -> slice | None:
    """The map pixels between two coordinates of the frame, along one axis; None when all lie outside."""
    if not (isfinite(low) and isfinite(high)) or low >= size or high <= 0:
        return None
    start = max(floor(low * map_size / size), 0)
    stop = min(ceil(high * map_size / size), map_size)
    return slice(start, max(stop, start + 1))


def _percentiles(values: Values, ratios: Sequence[float]) -> list[float]:
    """As `numpy.percentile`, linear between neighbours, at a fifth of its time on a crop."""
    places = [ratio * (values.size - 1) for ratio in ratios]
    values.partition(sorted({rank for place in places for rank in (floor(place), ceil(place))}))
    return [
        float(values[floor(place)] + (place % 1) * (values[ceil(place)] - values[floor(place)]))
        for place in places
    ]
