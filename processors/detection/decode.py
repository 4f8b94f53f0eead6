"""Boxes of one picture: candidates above the confidence, then non-maximum suppression.

Knows no output of a model (that is what `heads` is for), no picture and no record.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

MOST_CANDIDATES = 30_000
"""Best ones that enter the suppression, as Ultralytics has it."""
_APART = 7680
"""Pixels by which each class is moved off the one before, so that boxes of two classes never overlap."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """N boxes with the score of their best class, aligned by row."""

    boxes: npt.NDArray[np.float32]
    """N×4: x_min, y_min, x_max, y_max in canvas pixels."""
    scores: npt.NDArray[np.float32]
    class_ids: npt.NDArray[np.int32]

    def take(self, rows: npt.NDArray[Any]) -> "Candidates":
        """These rows, in this order."""
        return Candidates(self.boxes[rows], self.scores[rows], self.class_ids[rows])


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
    picked: npt.NDArray[np.float32] = boxes[:, rows].astype(np.float32, copy=False)
    centre, half = picked[:2], picked[2:] * np.float32(0.5)
    corners: npt.NDArray[np.float32] = np.concatenate((centre - half, centre + half)).T
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
    kept = found.take(_best(found, found.class_ids, iou))
    if iou_any_label < 1.0:
        kept = kept.take(_best(kept, np.zeros_like(kept.class_ids), iou_any_label))
    return kept.take(np.arange(min(max_det, kept.scores.size)))


def _best(found: Candidates, groups: npt.NDArray[np.int32], iou: float) -> npt.NDArray[np.intp]:
    """Rows that stay, by falling score, when boxes of one group suppress each other."""
    if not found.scores.size:
        return np.empty(0, np.intp)
    # In float32, as Ultralytics moves them: high classes lose digits, and near `iou` that decides.
    corners = (found.boxes + groups[:, None].astype(np.float32) * np.float32(_APART)).astype(np.float64)
    rectangles = np.hstack((corners[:, :2], corners[:, 2:] - corners[:, :2])).tolist()
    kept = cv2.dnn.NMSBoxes(rectangles, found.scores.tolist(), 0.0, iou)
    return np.asarray(kept, np.intp)
