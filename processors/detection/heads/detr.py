"""The heads of DETR and its kin: a set of boxes that do not overlap, and what each of them is.

As transformers has them: logits N×classes and boxes N×4 (centre x, centre y, width, height, fractions of the
canvas). RT-DETR, D-FINE, Deformable and Conditional DETR score each class by itself, so one box may count for
two (`detr`); DETR and YOLOS share 1 among the classes and a last one for nothing (`detr-softmax`). As the
repositories of RT-DETR and D-FINE export them: labels N, boxes N×4 (corners in pixels), scores N.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from processors.detection.decode import Candidates
from processors.detection.heads.head import Head, HeadName, Layout, Output
from processors.picture_model import Tensor


def each_class(outputs: Sequence[Tensor], confidence: float) -> Candidates | None:
    """Pairs of box and class above `confidence`, best first: up to N times the classes, see `Layout.rows`.

    Args:
        outputs: logits N×classes and boxes N×4.
        confidence: exclusive.

    Returns:
        The candidates, or None when the outputs are not made of finite numbers.
    """
    logits, boxes = _finite(outputs)
    if logits is None or boxes is None:
        return None
    with np.errstate(over="ignore"):  # a logit of -100 is a score of 0
        scores = np.float32(1) / (np.float32(1) + np.exp(-logits))
    rows, classes = np.nonzero(scores > confidence)
    return Candidates(_corners(boxes)[rows], scores[rows, classes], classes.astype(np.int32)).best_first()


def one_class(outputs: Sequence[Tensor], confidence: float) -> Candidates | None:
    """Boxes whose best class, the last one left out, scores above `confidence`, best first.

    Args:
        outputs: logits N×(classes + 1) and boxes N×4.
        confidence: exclusive.

    Returns:
        The candidates, or None when the outputs are not made of finite numbers.
    """
    logits, boxes = _finite(outputs)
    if logits is None or boxes is None:
        return None
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    scores = (powers / powers.sum(axis=1, keepdims=True))[:, :-1]
    best = scores.max(axis=1)
    (rows,) = np.nonzero(best > confidence)
    classes = scores[rows].argmax(axis=1).astype(np.int32)
    return Candidates(_corners(boxes)[rows], best[rows], classes).best_first()


def told(outputs: Sequence[Tensor], confidence: float) -> Candidates | None:
    """Boxes that score above `confidence`, best first.

    Args:
        outputs: labels N, boxes N×4 and scores N.
        confidence: exclusive.

    Returns:
        The candidates, or None when the outputs are not made of finite numbers.
    """
    boxes, scores = _finite(outputs[1:])
    if boxes is None or scores is None:
        return None
    (rows,) = np.nonzero(scores > confidence)
    return Candidates(boxes[rows], scores[rows], outputs[0][rows].astype(np.int32)).best_first()


def _finite(outputs: Sequence[Tensor]) -> Sequence[npt.NDArray[np.float32] | None]:
    return [
        output.astype(np.float32, copy=False) if np.isfinite(output).all() else None for output in outputs
    ]


def _corners(boxes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    centre, half = boxes[:, :2], boxes[:, 2:] / 2
    return np.hstack((centre - half, centre + half))


def _logits_and_boxes(outputs: Sequence[Output]) -> tuple[Output, Output, bool] | None:
    """By their names, else by their shapes where only one pair has them; the bool says which."""
    by_name = {output.name: output for output in outputs}
    pairs = [
        (by_name[one], by_name[two]) for one, two in [("logits", "pred_boxes")] if {one, two} <= {*by_name}
    ]
    named = bool(pairs)
    pairs = pairs or [
        (one, two) for one in outputs for two in outputs if one is not two and two.shape[-1] == 4
    ]
    pairs = [(one, two) for one, two in pairs if _are_logits_and_boxes(one.shape, two.shape)]
    return (*pairs[0], named) if len(pairs) == 1 and (named or len(outputs) == 2) else None


def _are_logits_and_boxes(logits: tuple[int, ...], boxes: tuple[int, ...]) -> bool:
    return len(logits) == len(boxes) == 3 and logits[1] == boxes[1] and boxes[2] == 4


def _each_class_layout(outputs: Sequence[Output]) -> Layout | None:
    pair = _logits_and_boxes(outputs)
    if pair is None:
        return None
    logits, boxes, named = pair
    return Layout(logits.shape[1], logits.shape[2], (logits.name, boxes.name), told=named)


def _one_class_layout(outputs: Sequence[Output]) -> Layout | None:
    pair = _logits_and_boxes(outputs)
    if pair is None or pair[0].shape[2] < 2:
        return None
    logits, boxes, named = pair
    return Layout(logits.shape[1], logits.shape[2] - 1, (logits.name, boxes.name), told=named)


def _told_layout(outputs: Sequence[Output]) -> Layout | None:
    shapes = {output.name: output.shape for output in outputs}
    rows = shapes.get("labels", ())[1:]
    if len(rows) != 1 or shapes.get("boxes") != (1, *rows, 4) or shapes.get("scores") != (1, *rows):
        return None
    return Layout(rows[0], None, ("labels", "boxes", "scores"), told=True)


DETR = Head(
    HeadName.DETR,
    "logits 1×N×classes and boxes 1×N×4",
    _each_class_layout,
    each_class,
    overlapping=False,
    fractions=True,
)
DETR_SOFTMAX = Head(
    HeadName.DETR_SOFTMAX,
    "logits 1×N×(classes+1) and boxes 1×N×4",
    _one_class_layout,
    one_class,
    overlapping=False,
    fractions=True,
)
LABELS_BOXES_SCORES = Head(
    HeadName.LABELS_BOXES_SCORES,
    "labels 1×N, boxes 1×N×4 and scores 1×N",
    _told_layout,
    told,
    overlapping=False,
)
