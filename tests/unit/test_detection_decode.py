import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.detection.decode import MOST_CANDIDATES, Candidates, suppress
from processors.detection.heads.yolov8 import candidates

Floats = npt.NDArray[np.float32]


def a_head(*rows: tuple[float, ...]) -> Floats:
    """Each row: centre x, centre y, width, height, then one score a class."""
    return np.array(rows, np.float32).T


def some_boxes(seed: int, count: int, classes: int) -> Candidates:
    rng = np.random.default_rng(seed)
    corner, size = rng.uniform(0, 80, (count, 2)), rng.uniform(1, 40, (count, 2))
    boxes = np.hstack((corner, corner + size)).astype(np.float32)
    scores = rng.permutation(np.linspace(0.05, 0.99, count)).astype(np.float32)
    return Candidates(boxes, scores, rng.integers(0, classes, count).astype(np.int32))


def overlap(one: Floats, other: Floats) -> float:
    sides = np.minimum(one[2:], other[2:]).astype(float) - np.maximum(one[:2], other[:2])
    shared = float(np.prod(sides.clip(0)))
    areas = [float(np.prod(box[2:].astype(float) - box[:2])) for box in (one, other)]
    return shared / (sum(areas) - shared)


def by_definition(found: Candidates, iou: float, *, across_classes: bool) -> list[int]:
    """The rows that stay: best first, each against those that stayed before it."""
    kept: list[int] = []
    for row in np.argsort(-found.scores):
        rivals = [k for k in kept if across_classes or found.class_ids[k] == found.class_ids[row]]
        if all(overlap(found.boxes[row], found.boxes[rival]) <= iou for rival in rivals):
            kept.append(int(row))
    return kept


@given(
    seed=st.integers(0, 10_000),
    count=st.integers(1, 60),
    classes=st.integers(1, 4),
    iou=st.sampled_from([0.0, 0.3, 0.7, 1.0]),
    across_classes=st.booleans(),
)
def test_suppression_is_what_its_definition_says(
    seed: int, count: int, classes: int, iou: float, *, across_classes: bool
) -> None:
    found = some_boxes(seed, count, classes)
    kept = suppress(
        found, iou=1.0 if across_classes else iou, max_det=300, iou_any_label=iou if across_classes else 1.0
    )
    expected = by_definition(found, iou, across_classes=across_classes)
    np.testing.assert_array_equal(kept.boxes, found.boxes[expected])
    np.testing.assert_array_equal(kept.class_ids, found.class_ids[expected])


def test_max_det_keeps_the_best_of_those_that_stay() -> None:
    found = some_boxes(1, 50, 3)
    everything = suppress(found, iou=0.5, max_det=300)
    few = suppress(found, iou=0.5, max_det=4)
    np.testing.assert_array_equal(few.scores, everything.scores[:4])


def test_only_the_best_class_of_a_box_counts_and_only_above_the_confidence() -> None:
    head = a_head((20, 10, 8, 4, 0.3, 0.8), (50, 30, 2, 2, 0.5, 0.1), (70, 30, 2, 2, 0.5625, 0.1))
    found = candidates([head], 0.5)
    assert found is not None
    assert found.boxes.tolist() == [[16, 8, 24, 12], [69, 29, 71, 31]]
    assert found.class_ids.tolist() == [1, 0]
    assert found.scores.tolist() == pytest.approx([0.8, 0.5625])


def test_nothing_above_the_confidence_is_no_objects() -> None:
    found = candidates([a_head((20, 10, 8, 4, 0.3))], 0.5)
    assert found is not None
    assert suppress(found, iou=0.7, max_det=300).boxes.shape == (0, 4)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("place", [(0, 0), (3, 1), (4, 0), (5, 1)])
def test_an_output_that_is_not_finite_is_no_answer(bad: float, place: tuple[int, int]) -> None:
    head = a_head((20, 10, 8, 4, 0.3, 0.8), (50, 30, 2, 2, 0.5, 0.1))
    head[place] = bad
    assert candidates([head], 0.25) is None


def test_of_too_many_candidates_the_best_enter() -> None:
    rng = np.random.default_rng(0)
    head = rng.random((5, MOST_CANDIDATES + 500), np.float32)
    found = candidates([head], 0.0)
    assert found is not None
    entering = found.best(MOST_CANDIDATES)
    assert entering.scores.size == MOST_CANDIDATES
    assert entering.scores.min() >= np.sort(head[4])[500]
    assert found.best(MOST_CANDIDATES + 500) is found


def test_corners_of_a_half_precision_output_round_as_that_output_does() -> None:
    found = candidates([a_head((1001, 11, 2.5, 2.5, 0.75)).astype(np.float16)], 0.5)
    assert found is not None
    assert found.boxes.tolist() == [[1000, 9.75, 1002, 12.25]]
