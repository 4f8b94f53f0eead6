"""Average precision by pycocotools, with objects that are too small or too hidden left out of the count.

A detection on a left-out object is neither right nor wrong, whatever its label: each left-out object
is entered once per class as an ignored region.
"""

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from producers.synthetic import LABELS

Rows = NDArray[np.float32]
MIN_VISIBLE = 0.3


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the referee says about many pictures.

    `at_50` is mAP at an overlap of 0.5, `at_50_95` its mean over 0.5 to 0.95, `by_label` AP50 per
    label, `counted` how many true objects were to be found. `scores` and `right` are the detections
    that count, at an overlap of 0.5.
    """

    at_50: float
    at_50_95: float
    by_label: dict[str, float]
    counted: int
    scores: NDArray[np.float64]
    right: NDArray[np.bool_]

    def recall(self, threshold: float) -> float:
        """Share of the objects found with at least this score."""
        return float(self.right[self.scores >= threshold].sum()) / max(1, self.counted)

    def precision(self, threshold: float) -> float:
        """Share of the detections with at least this score that are right."""
        kept = self.right[self.scores >= threshold]
        return float(kept.mean()) if kept.size else 0.0

    def best_threshold(self) -> float:
        """The score with the best harmonic mean of recall and precision, in steps of 0.01."""

        def balance(threshold: float) -> float:
            recall, precision = self.recall(threshold), self.precision(threshold)
            return 2 * recall * precision / max(recall + precision, 1e-9)

        return max((step / 100 for step in range(10, 90)), key=balance)


def judge(
    found: Sequence[Rows], truths: Sequence[Rows], *, min_side_px: float, min_visible: float = MIN_VISIBLE
) -> Verdict:
    """Score the detections of many pictures.

    Args:
        found: per picture k×6, corners in pixels, score, class.
        truths: per picture n×6, class, corners in pixels, visible share.
        min_side_px: objects whose shorter side is below this are left out.
        min_visible: objects of which less shows are left out.
    """
    annotations = _annotations(truths, min_side_px, min_visible)
    counted = sum(1 for annotation in annotations if not annotation["iscrowd"])
    results = [
        {"image_id": picture, "category_id": int(row[5]), "bbox": _box(row[:4]), "score": float(row[4])}
        for picture, rows in enumerate(found, 1)
        for row in rows
    ]
    if not results:
        return Verdict(0.0, 0.0, dict.fromkeys(LABELS, 0.0), counted, np.empty(0), np.empty(0, np.bool_))
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = _evaluate(annotations, results, len(truths))
    curves = evaluation.eval["precision"][:, :, :, 0, 2]
    scores, right = _decisions(evaluation)
    return Verdict(
        at_50=_mean(curves[0]),
        at_50_95=_mean(curves),
        by_label={label: _mean(curves[0, :, k]) for k, label in enumerate(LABELS)},
        counted=counted,
        scores=scores,
        right=right,
    )


def _annotations(truths: Sequence[Rows], min_side_px: float, min_visible: float) -> list[dict[str, object]]:
    annotations: list[dict[str, object]] = []
    for picture, rows in enumerate(truths, 1):
        for row in rows:
            side = min(row[3] - row[1], row[4] - row[2])
            counts = bool(side >= min_side_px and row[5] >= min_visible)
            for label in [int(row[0])] if counts else range(len(LABELS)):
                box = _box(row[1:5])
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": picture,
                        "category_id": label,
                        "bbox": box,
                        "area": box[2] * box[3],
                        "iscrowd": int(not counts),
                    }
                )
    return annotations


def _evaluate(
    annotations: list[dict[str, object]], results: list[dict[str, object]], pictures: int
) -> COCOeval:
    truth = COCO()
    truth.dataset = {
        "info": {},
        "images": [{"id": number} for number in range(1, pictures + 1)],
        "categories": [{"id": number, "name": label} for number, label in enumerate(LABELS)],
        "annotations": annotations,
    }
    truth.createIndex()
    evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    return evaluation


def _decisions(evaluation: COCOeval) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Scores of all detections that count, and whether each was matched at an overlap of 0.5."""
    everything = evaluation.params.areaRng[0]
    scores, right = [np.empty(0)], [np.empty(0, np.bool_)]
    for one in evaluation.evalImgs:
        if one is not None and one["aRng"] == everything:
            counts = ~np.asarray(one["dtIgnore"][0], np.bool_)
            scores.append(np.asarray(one["dtScores"], float)[counts])
            right.append(np.asarray(one["dtMatches"][0])[counts] > 0)
    return np.concatenate(scores), np.concatenate(right)


def _box(corners: Rows) -> list[float]:
    x_min, y_min, x_max, y_max = (float(value) for value in corners)
    return [x_min, y_min, x_max - x_min, y_max - y_min]


def _mean(curve: NDArray[np.float64]) -> float:
    """Mean over what has a value; pycocotools writes -1 where a label has no objects."""
    known = curve[curve > -1]
    return float(known.mean()) if known.size else float("nan")
