"""Boxes of one picture: candidates above the confidence, then non-maximum suppression.

Knows no output of a model (that is what `heads` is for), no picture and no record.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

MOST_CANDIDATES = 30_000
"""Best ones that enter the suppression, as Ultralytics has it."""
_APART = np.float32(7680)
"""Pixels by which each class is moved off the one before, so that boxes of two classes never overlap."""
_AT_ONCE = 16
"""Boxes that are compared with all lower ones in one step."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """N boxes with the score of their best class, aligned by row."""

    boxes: npt.NDArray[np.float32]
    """N×4: x_min, y_min, x_max, y_max in canvas pixels."""
    scores: npt.NDArray[np.float32]
    class_ids: npt.NDArray[np.int32]

    def take(self, rows: Sequence[np.intp] | npt.NDArray[np.intp] | slice) -> "Candidates":
        """These rows, in this order."""
        return Candidates(self.boxes[rows], self.scores[rows], self.class_ids[rows])

    def of(self, class_ids: npt.NDArray[np.int32]) -> "Candidates":
        """Those of these classes, in the order they have."""
        (rows,) = np.nonzero(np.isin(self.class_ids, class_ids))
        return self.take(rows)

    def best(self, most: int) -> "Candidates":
        """All of them as they are, or by falling score where they are more than `most`."""
        return self if self.scores.size <= most else self.best_first().take(slice(most))

    def best_first(self) -> "Candidates":
        """By falling score; equal ones as they were."""
        return self.take(np.argsort(-self.scores, kind="stable"))


def above(
    boxes: npt.NDArray[np.floating[Any]], scores: npt.NDArray[np.floating[Any]], confidence: float
) -> Candidates | None:
    """Boxes whose best class scores above `confidence`.

    Args:
        boxes: 4×N, rows centre x, centre y, width, height.
        scores: classes×N.
        confidence: exclusive.

    Returns:
        The candidates, or None when these are not finite numbers.
    """
    best = scores.max(axis=0)
    if not (np.isfinite(best).all() and np.isfinite(boxes).all()):
        return None
    (rows,) = np.nonzero(best > confidence)
    centre, half = boxes[:2, rows], boxes[2:, rows] / 2
    corners = np.concatenate((centre - half, centre + half)).T.astype(np.float32, copy=False)
    classes = scores[:, rows].argmax(axis=0).astype(np.int32)
    return Candidates(corners, best[rows].astype(np.float32, copy=False), classes)


def suppress(found: Candidates, *, iou: float, max_det: int, iou_any_label: float = 1.0) -> Candidates:
    """Keep the best of boxes that overlap, by falling score, at most `max_det`.

    Args:
        found: any number of candidates, of which the best `MOST_CANDIDATES` enter.
        iou: intersection over union of two boxes of one class, above which the lower score goes.
        max_det: of what is kept.
        iou_any_label: the same for what is left, whatever its classes; 1 never suppresses.
    """
    found = found.best(MOST_CANDIDATES)
    by_label = found.class_ids[:, None].astype(np.float32) * _APART
    if iou_any_label == 1.0:
        return found.take(_best(found.boxes + by_label, found.scores, iou, max_det))
    kept = found.take(_best(found.boxes + by_label, found.scores, iou, found.scores.size))
    return kept.take(_best(kept.boxes, kept.scores, iou_any_label, max_det))


def _best(
    boxes: npt.NDArray[np.float32], scores: npt.NDArray[np.float32], iou: float, most: int
) -> list[np.intp]:
    """Rows that stay, by falling score.

    All of it in float32, as Ultralytics has it: high classes lose digits when they are moved apart, which
    decides near `iou`; and a box of no area, or turned inside out, overlaps here as it does there.
    """
    order = np.argsort(-scores, kind="stable")
    sides = np.ascontiguousarray(boxes[order].T)
    sides = np.vstack((sides, (sides[2] - sides[0]) * (sides[3] - sides[1])))
    threshold = np.float64(iou)
    rest = np.arange(order.size)
    kept: list[np.intp] = []
    while rest.size and len(kept) < most:
        stays = np.ones(rest.size, np.bool_)
        apart = ~(_overlaps(sides[:, rest[:_AT_ONCE]], sides[:, rest]) > threshold)
        for place, left_over in enumerate(apart):
            if stays[place]:
                kept.append(order[rest[place]])
                stays &= left_over
        rest = rest[_AT_ONCE:][stays[_AT_ONCE:]]
    return kept[:most]


def _overlaps(some: npt.NDArray[np.float32], all_of: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Intersection over union of each with each, n×m.

    Args:
        some: 5×n, rows left, top, right, bottom, area.
        all_of: 5×m, the same.
    """
    left, top, right, bottom, area = some[:, :, None]
    width = np.minimum(right, all_of[2]) - np.maximum(left, all_of[0])
    height = np.minimum(bottom, all_of[3]) - np.maximum(top, all_of[1])
    shared = np.maximum(width, 0, out=width)
    shared *= np.maximum(height, 0, out=height)
    with np.errstate(divide="ignore", invalid="ignore"):
        overlaps: npt.NDArray[np.float32] = shared / (area + all_of[4] - shared)
    return overlaps
