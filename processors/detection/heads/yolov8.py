"""The head of YOLOv8, v9, 11 and 12 (and of v5u, v10 and 26 exported for suppression): (4 + classes)×N.

Rows are centre x, centre y, width, height in canvas pixels, then one score a class.
"""

from collections.abc import Sequence

from processors.detection.decode import Candidates, above
from processors.detection.fitting import Resize
from processors.detection.heads.head import Head, HeadName, Layout, Output
from processors.picture_model import Tensor


def candidates(outputs: Sequence[Tensor], confidence: float) -> Candidates | None:
    """Boxes whose best class scores above `confidence`.

    Args:
        outputs: one, (4 + classes)×N.
        confidence: exclusive.

    Returns:
        The candidates, or None when the output is not made of finite numbers.
    """
    (output,) = outputs
    return above(output[:4], output[4:], confidence)


def _layout(outputs: Sequence[Output]) -> Layout | None:
    first = outputs[0]
    if len(first.shape) != 3 or first.shape[1] < 5:
        return None
    return Layout(rows=first.shape[2], classes=first.shape[1] - 4, outputs=(first.name,))


YOLOV8 = Head(
    HeadName.YOLOV8, "1×(4+classes)×N", _layout, candidates, boxes_per_cell=1, resize=Resize.LETTERBOX
)
