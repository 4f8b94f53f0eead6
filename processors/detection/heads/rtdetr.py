"""The heads of RT-DETR as Ultralytics exports it; boxes do not overlap and are fractions of the canvas.

Columns are centre x, centre y, width, height, then score and class, best first (`rtdetr`), or, before
Ultralytics 8.4, one score a class (`rtdetr-scores`). Pictures are stretched to the canvas.
"""

from collections.abc import Sequence

import numpy as np

from processors.detection.decode import Candidates, above
from processors.detection.fitting import Resize
from processors.detection.heads.head import Head, HeadName, Layout, Output
from processors.picture_model import Tensor

DECODER = "RTDETRDecoder"


def best(outputs: Sequence[Tensor], confidence: float) -> Candidates | None:
    """Boxes that score above `confidence`, in the order of the model.

    Args:
        outputs: one, N×6.
        confidence: exclusive.

    Returns:
        The candidates, or None when the output is not made of finite numbers.
    """
    (output,) = outputs
    if not np.isfinite(output).all():
        return None
    rows = output[output[:, 4] > confidence].astype(np.float32, copy=False)
    centre, half = rows[:, :2], rows[:, 2:4] / 2
    return Candidates(np.hstack((centre - half, centre + half)), rows[:, 4], rows[:, 5].astype(np.int32))


def scored(outputs: Sequence[Tensor], confidence: float) -> Candidates | None:
    """Boxes whose best class scores above `confidence`, best first.

    Args:
        outputs: one, N×(4 + classes).
        confidence: exclusive.

    Returns:
        The candidates, or None when the output is not made of finite numbers.
    """
    (output,) = outputs
    found = above(output[:, :4].T, output[:, 4:].T, confidence)
    return None if found is None else found.best_first()


def _best_layout(outputs: Sequence[Output]) -> Layout | None:
    first = outputs[0]
    if len(first.shape) != 3 or first.shape[2] != 6:
        return None
    return Layout(rows=first.shape[1], classes=None, outputs=(first.name,))


def _scored_layout(outputs: Sequence[Output]) -> Layout | None:
    first = outputs[0]
    if len(first.shape) != 3 or first.shape[2] < 5:
        return None
    return Layout(rows=first.shape[1], classes=first.shape[2] - 4, outputs=(first.name,))


RTDETR = Head(
    HeadName.RTDETR,
    "1×N×6",
    _best_layout,
    best,
    overlapping=False,
    fractions=True,
    decoder=DECODER,
    resize=Resize.STRETCH,
)
RTDETR_SCORES = Head(
    HeadName.RTDETR_SCORES,
    "1×N×(4+classes)",
    _scored_layout,
    scored,
    overlapping=False,
    fractions=True,
    decoder=DECODER,
    resize=Resize.STRETCH,
)
