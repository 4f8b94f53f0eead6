"""The head of YOLOv5 as its own repository exports it (also v6 and v7): N×(5 + classes).

Columns are centre x, centre y, width, height in canvas pixels, whether there is an object at all, then one
score a class; what counts is the product.
"""

from collections.abc import Sequence

import numpy as np

from processors.detection.decode import Candidates, above
from processors.detection.fitting import Resize
from processors.detection.heads.head import Head, HeadName, Layout, Output
from processors.picture_model import Tensor


def candidates(outputs: Sequence[Tensor], confidence: float) -> Candidates | None:
    """Boxes with an object above `confidence` whose best class, times that, is above it too.

    Args:
        outputs: one, N×(5 + classes).
        confidence: exclusive.

    Returns:
        The candidates, or None when the output is not made of finite numbers.
    """
    (output,) = outputs
    if not np.isfinite(output[:, :5]).all():
        return None
    columns = output[output[:, 4] > confidence].T
    return above(columns[:4], columns[5:] * columns[4], confidence)


def _layout(outputs: Sequence[Output]) -> Layout | None:
    first = outputs[0]
    if len(first.shape) != 3 or first.shape[2] < 6:
        return None
    return Layout(rows=first.shape[1], classes=first.shape[2] - 5, outputs=(first.name,))


YOLOV5 = Head(
    HeadName.YOLOV5, "1×N×(5+classes)", _layout, candidates, boxes_per_cell=3, resize=Resize.LETTERBOX
)
