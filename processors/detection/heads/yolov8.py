"""The head of YOLOv8, v9, 11 and 12 (and of v5u, v10 and 26 exported for suppression): (4 + classes)×N.

Rows are centre x, centre y, width, height in canvas pixels, then one score a class.
"""

from processors.detection.decode import Candidates, above
from processors.detection.heads.head import Head, HeadName, Layout, Shape
from processors.onnx import Tensor


def candidates(output: Tensor, confidence: float) -> Candidates | None:
    """Boxes whose best class scores above `confidence`.

    Args:
        output: (4 + classes)×N.
        confidence: exclusive.

    Returns:
        The candidates, or None when the output is not made of finite numbers.
    """
    return above(output[:4], output[4:], confidence)


def _layout(shape: Shape) -> Layout | None:
    if len(shape) != 3 or shape[1] < 5:
        return None
    return Layout(rows=shape[2], classes=shape[1] - 4)


YOLOV8 = Head(HeadName.YOLOV8, "1×(4+classes)×N", _layout, boxes_per_cell=1, candidates=candidates)
