"""The head of models that suppress their overlapping boxes themselves: N×6, best first.

YOLOv10 and YOLO26 end to end, and any YOLO exported with `nms=True`. Columns are x_min, y_min, x_max, y_max
in canvas pixels, score, class; rows without an object score 0.
"""

from collections.abc import Sequence

import numpy as np

from processors.detection.decode import Candidates
from processors.detection.fitting import Resize
from processors.detection.heads.head import Head, HeadName, Layout, Output
from processors.picture_model import Tensor


def candidates(outputs: Sequence[Tensor], confidence: float) -> Candidates | None:
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
    return Candidates(rows[:, :4], rows[:, 4], rows[:, 5].astype(np.int32))


def _layout(outputs: Sequence[Output]) -> Layout | None:
    first = outputs[0]
    if len(first.shape) != 3 or first.shape[2] != 6:
        return None
    return Layout(rows=first.shape[1], classes=None, outputs=(first.name,))


END_TO_END = Head(
    HeadName.END_TO_END, "1×N×6", _layout, candidates, overlapping=False, resize=Resize.LETTERBOX
)
