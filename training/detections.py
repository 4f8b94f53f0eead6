"""From a detector's output to a list of objects: threshold and non-maximum suppression in numpy.

Rows are arrays of float32, one object or box a row.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.floating[Any]]
LOWEST_SCORE = 0.02
SAME_LABEL_IOU = 0.55
ANY_LABEL_IOU = 0.75
_MOST = 60


def overlaps(a: Rows, b: Rows) -> Rows:
    """Intersection over union of n corner boxes with m others, n×m."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:4], b[None, :, 2:4])
    shared = np.prod((high - low).clip(0), axis=-1)
    area_a, area_b = (np.prod(boxes[:, 2:4] - boxes[:, :2], axis=-1) for boxes in (a, b))
    share: Rows = shared / (area_a[:, None] + area_b[None] - shared + 1e-9)
    return share


def keep_best(output: Rows, size: tuple[int, int], *, lowest: float = LOWEST_SCORE) -> Rows:
    """Objects of one picture, best first.

    Args:
        output: (4+C)×N, centre, size in pixels and class scores.
        size: width and height of the picture; boxes are clipped to it.
        lowest: score below which nothing is kept.

    Returns:
        k×6: corners in pixels, score, class.
    """
    scores, classes = output[4:].max(axis=0), output[4:].argmax(axis=0)
    order = np.flatnonzero(scores > lowest)
    order = order[np.argsort(-scores[order], kind="stable")][:200]
    centre, half = output[:2, order].T, output[2:4, order].T / 2
    corners = np.concatenate([centre - half, centre + half], axis=1)
    corners[:, [0, 2]] = corners[:, [0, 2]].clip(0, size[0])
    corners[:, [1, 3]] = corners[:, [1, 3]].clip(0, size[1])
    rows = np.column_stack([corners, scores[order], classes[order]]).astype(np.float32)
    limit = np.where(rows[:, None, 5] == rows[None, :, 5], SAME_LABEL_IOU, ANY_LABEL_IOU)
    rivals = overlaps(rows, rows) >= limit
    alive = np.ones(len(rows), np.bool_)
    for index in range(len(rows)):
        if alive[index]:
            alive[index + 1 :] &= ~rivals[index, index + 1 :]
    return rows[alive][:_MOST]
