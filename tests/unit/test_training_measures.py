"""What judges the demo models: praise for the perfect, blame for the wrong, silence on the rest."""

import numpy as np
import pytest

from producers.synthetic import LABELS
from training.detections import Rows, keep_best, overlaps
from training.measures import depth_errors
from training.referee import judge

BALL, CAR = LABELS.index("ball"), LABELS.index("car")


def a_truth(class_id: int = BALL, x: float = 50, side: float = 30, visible: float = 1.0) -> Rows:
    return np.array([class_id, x, 60, x + side, 60 + side, visible], np.float32)


def a_find(class_id: int = BALL, x: float = 50, side: float = 30, score: float = 0.9) -> Rows:
    return np.array([x, 60, x + side, 60 + side, score, class_id], np.float32)


def rows(*members: Rows) -> Rows:
    return np.array(members, np.float32).reshape(-1, 6)


def test_perfect_detections_score_one() -> None:
    verdict = judge([rows(a_find())], [rows(a_truth())], min_side_px=6)
    assert (verdict.at_50, verdict.at_50_95, verdict.counted) == pytest.approx((1, 1, 1))
    assert (verdict.recall(0.5), verdict.precision(0.5)) == (1, 1)


def test_a_missed_object_costs_recall_and_an_invented_one_precision() -> None:
    truths = rows(a_truth(x=50), a_truth(x=150))
    found = rows(a_find(x=50), a_find(x=230), a_find(x=90, score=0.3))
    verdict = judge([found], [truths], min_side_px=6)
    assert verdict.recall(0.5) == 0.5
    assert verdict.precision(0.5) == 0.5
    assert verdict.precision(0.2) == pytest.approx(1 / 3)


def test_the_wrong_label_is_wrong() -> None:
    verdict = judge([rows(a_find(CAR))], [rows(a_truth(BALL))], min_side_px=6)
    assert verdict.recall(0.5) == 0
    assert verdict.precision(0.5) == 0


@pytest.mark.parametrize("left_out", [a_truth(side=5), a_truth(visible=0.2)])
@pytest.mark.parametrize("label", [BALL, CAR])
def test_what_is_too_small_or_too_hidden_is_neither_right_nor_wrong(left_out: Rows, label: int) -> None:
    side = float(left_out[3] - left_out[1])
    found = rows(a_find(label, side=side), a_find(x=200))
    verdict = judge([found], [rows(left_out, a_truth(x=200))], min_side_px=6)
    assert verdict.counted == 1
    assert (verdict.recall(0.5), verdict.precision(0.5)) == (1, 1)


def test_nothing_found_is_no_error() -> None:
    verdict = judge([rows()], [rows(a_truth())], min_side_px=6)
    assert (verdict.at_50, verdict.recall(0.1), verdict.precision(0.1)) == (0, 0, 0)


def test_the_threshold_parts_right_from_wrong() -> None:
    found = rows(a_find(x=50, score=0.6), a_find(x=200, score=0.4))
    assert 0.4 < judge([found], [rows(a_truth(x=50))], min_side_px=6).best_threshold() <= 0.6


def test_of_two_boxes_on_one_object_the_better_stays() -> None:
    output = np.zeros((4 + len(LABELS), 3), np.float32)
    output[:4] = np.array([[60, 61, 200], [60, 60, 100], [20, 20, 30], [20, 20, 30]])
    output[4 + BALL] = [0.9, 0.8, 0.0]
    output[4 + CAR] = [0.0, 0.0, 0.7]
    kept = keep_best(output, (320, 192))
    assert kept[:, 4:].tolist() == [[pytest.approx(0.9), BALL], [pytest.approx(0.7), CAR]]
    assert kept[0, :4].tolist() == [50, 50, 70, 70]


def test_boxes_overlap_by_what_they_share() -> None:
    box, others = np.array([0.0, 0, 10, 10]), np.array([[0.0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30]])
    assert overlaps(box, others).tolist() == pytest.approx([1, 1 / 3, 0])


def test_depth_that_is_right_but_for_its_scale_has_no_scaled_error() -> None:
    metres = np.linspace(2, 50, 40 * 40).reshape(40, 40)
    nearness = 1 / metres
    nearness[:10] = 0
    solid = np.zeros((40, 40), np.bool_)
    solid[20:30] = True
    given = np.where(nearness > 0, metres * 0.8, 100)
    errors = depth_errors(given, nearness, solid)
    assert (errors.raw, errors.scaled, errors.solid) == pytest.approx((0.2, 0, 0), abs=1e-6)
    assert (errors.scale, errors.within, errors.sky) == pytest.approx((1.25, 1, 1))


def test_padding_and_sky_do_not_count_as_depth() -> None:
    nearness = np.full((40, 40), 0.1)
    nearness[:10], nearness[30:] = 0, -1
    given = np.where(nearness > 0, 10.0, 3.0)
    errors = depth_errors(given, nearness, nearness > 0)
    assert errors.raw == pytest.approx(0)
    assert errors.sky == 0
