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
    if rows.size > MOST_CANDIDATES:
        rows = rows[np.argsort(-best[rows], kind="stable")[:MOST_CANDIDATES]]
    centre, half = boxes[:2, rows], boxes[2:, rows] / 2
    corners = np.concatenate((centre - half, centre + half)).T.astype(np.float32, copy=False)
    classes = scores[:, rows].argmax(axis=0).astype(np.int32)
    return Candidates(corners, best[rows].astype(np.float32, copy=False), classes)


def suppress(found: Candidates, *, iou: float, max_det: int, iou_any_label: float = 1.0) -> Candidates:
    """Keep the best of boxes that overlap, by falling score, at most `max_det`.

    Args:
        found: any number of candidates.
        iou: intersection over union of two boxes of one class, above which the lower score goes.
        max_det: of what is kept.
        iou_any_label: the same for what is left, whatever its classes; 1 never suppresses.
    """
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
    left, top, right, bottom = np.ascontiguousarray(boxes[order].T)
    areas = (right - left) * (bottom - top)
    threshold = np.float64(iou)
    rest = np.arange(order.size)
    kept: list[np.intp] = []
    with np.errstate(divide="ignore", invalid="ignore"):
        while rest.size and len(kept) < most:
            best, rest = rest[0], rest[1:]
            kept.append(order[best])
            width = np.minimum(right[rest], right[best]) - np.maximum(left[rest], left[best])
            height = np.minimum(bottom[rest], bottom[best]) - np.maximum(top[rest], top[best])
            shared = np.maximum(width, 0) * np.maximum(height, 0)
            rest = rest[~(shared / (areas[best] + areas[rest] - shared) > threshold)]
    return kept
