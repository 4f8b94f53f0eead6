"""From a detector's output to a list of objects, by the very code of the detection stage.

Rows are arrays of float32, one object or box a row.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from framefuse.errors import ModelUnusable
from processors.detection.decode import suppress
from processors.detection.heads.yolov8 import candidates

Rows = NDArray[np.floating[Any]]
LOWEST_SCORE = 0.02
SAME_LABEL_IOU = 0.55
ANY_LABEL_IOU = 0.75
MOST_OBJECTS = 100


def keep_best(output: Rows, size: tuple[int, int], *, lowest: float = LOWEST_SCORE) -> Rows:
    """Objects of one picture, best first.

    Args:
        output: (4+C)×N, centre, size in pixels and class scores.
        size: width and height of the picture; boxes are clipped to it.
        lowest: score below which nothing is kept.

    Returns:
        k×6: corners in pixels, score, class.

    Raises:
        ModelUnusable: the output holds numbers that are not finite.
    """
    found = candidates([output], lowest)
    if found is None:
        raise ModelUnusable("the detector gave numbers that are not finite: train it again")
    kept = suppress(found, iou=SAME_LABEL_IOU, iou_any_label=ANY_LABEL_IOU, max_det=MOST_OBJECTS)
    corners = np.clip(kept.boxes, 0, np.array([*size, *size], np.float32))
    return np.column_stack([corners, kept.scores, kept.class_ids]).astype(np.float32)


def overlaps(box: Rows, others: Rows) -> Rows:
    """Intersection over union of one corner box with n others, n."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:4], others[:, 2:4])
    shared = np.prod((high - low).clip(0), axis=-1)
    areas = np.prod(others[:, 2:4] - others[:, :2], axis=-1)
    share: Rows = shared / (np.prod(box[2:4] - box[:2]) + areas - shared + 1e-9)
    return share
