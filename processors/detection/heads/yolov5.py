"""The head of YOLOv5 as its own repository exports it (also v6 and v7): N×(5 + classes).

Columns are centre x, centre y, width, height in canvas pixels, whether there is an object at all, then one
score a class; what counts is the product.
"""

import numpy as np

from processors.detection.decode import Candidates, above
from processors.detection.heads.head import Head, HeadName, Layout, Shape
from processors.onnx import Tensor


def candidates(output: Tensor, confidence: float) -> Candidates | None:
    """Boxes with an object above `confidence` whose best class, times that, is above it too.

    Args:
        output: N×(5 + classes).
        confidence: exclusive.

    Returns:
        The candidates, or None when the output is not made of finite numbers.
    """
    if not np.isfinite(output[:, :5]).all():
        return None
    columns = output[output[:, 4] > confidence].T
    return above(columns[:4], columns[5:] * columns[4], confidence)


def _layout(shape: Shape) -> Layout | None:
    if len(shape) != 3 or shape[2] < 6:
        return None
    return Layout(rows=shape[1], classes=shape[2] - 5)


YOLOV5 = Head(HeadName.YOLOV5, "1×N×(5+classes)", _layout, boxes_per_cell=3, candidates=candidates)
