"""Which classes count: what the user says, and what is left of what a model finds."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from framefuse.errors import BadInput
from framefuse.settings import load
from processors.detection.classes import class_ids
from processors.detection.decode import MOST_CANDIDATES, Candidates
from processors.detection.settings import DetectionSettings
from tests.unit.test_detection_stage import a_photo, a_stage, answers

COCO = {0: "person", 1: "bicycle", 2: "car", 3: "traffic light", 4: "N/A", 9: "N/A"}
OVERLAPPING = np.array([[32, 16, 16, 8, 0.0, 0.9], [32, 16, 16, 8, 0.5, 0.0]], np.float32).T
"""A car of 0.9 and, at the same place, a ball of 0.5."""


@pytest.mark.parametrize(
    ("asked", "numbers"),
    [
        ("person", [0]),
        ("car, person,", [0, 2]),
        ("2,person,2", [0, 2]),
        ("traffic light", [3]),
        ("N/A", [4, 9]),
        ("7", [7]),
    ],
)
def test_classes_are_said_by_label_or_by_number(asked: str, numbers: list[int]) -> None:
    assert class_ids(asked, "d.onnx", COCO, 10).tolist() == numbers


def test_a_label_of_digits_wins_over_a_number() -> None:
    assert class_ids("1", "digits.onnx", {0: "1", 1: "0"}, 2).tolist() == [0]


def test_a_model_without_labels_takes_the_numbers_that_it_has() -> None:
    assert class_ids("3,5", "d.onnx", None, 6).tolist() == [3, 5]
    assert class_ids("3000", "d.onnx", None, None).tolist() == [3000]


@pytest.mark.parametrize(
    ("asked", "names", "count", "said"),
    [
        ("persn", COCO, 10, "d.onnx has no class 'persn' (did you mean person?): it has 0 person, 1 bicycle"),
        ("CAR,xyzzy", COCO, 10, "no class 'CAR' (did you mean car?) and no 'xyzzy': it has 0 person"),
        ("10", COCO, 10, "no class '10': it has 0 person"),
        ("-1", COCO, 10, "no class '-1'"),
        ("99999999999", None, None, "no class '99999999999'"),
        ("car", None, 80, "does not tell the labels of its classes, so say --classes with numbers from 0 to"),
        ("²", None, None, "no class '²'"),
        ("x", {n: f"thing {n}" for n in range(80)}, 80, "9 thing 9 and 70 more; say --classes with labels"),
        (" , ", COCO, 10, "classes is empty"),
    ],
)
def test_what_the_model_does_not_have_is_told_with_what_it_has(
    asked: str, names: dict[int, str] | None, count: int | None, said: str
) -> None:
    with pytest.raises(BadInput) as refused:
        class_ids(asked, "d.onnx", names, count)
    assert said in str(refused.value)


def test_an_unknown_class_is_a_failed_start(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"d.onnx has no class 'bal' \(did you mean ball\?\)"):
        a_stage(tmp_path, classes="bal")


@pytest.mark.parametrize(
    ("content", "asked"), [("[ball, 1]", "ball,1"), ("1", "1"), ("ball,car", "ball,car")]
)
def test_the_file_of_settings_may_have_a_list_or_a_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, asked: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "framefuse.yaml").write_text(f"detection:\n  classes: {content}\n")
    assert load(DetectionSettings).classes == asked


def test_the_environment_chooses_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRAMEFUSE_DETECTION_CLASSES", "car")
    (answer,) = answers(a_stage(tmp_path), a_photo())
    assert [found.label for found in answer.objects] == ["car"]


def test_other_classes_go_before_boxes_are_suppressed_and_counted(tmp_path: Path) -> None:
    (all_of,) = answers(a_stage(tmp_path, OVERLAPPING, iou_any_label=0.5), a_photo())
    (balls,) = answers(
        a_stage(tmp_path, OVERLAPPING, iou_any_label=0.5, max_det=1, classes="ball"), a_photo()
    )
    assert [found.label for found in all_of.objects] == ["car"]
    assert [found.label for found in balls.objects] == ["ball"]


def test_other_classes_go_before_the_best_candidates_enter_the_suppression() -> None:
    many = MOST_CANDIDATES + 1
    scores = np.full(many, 0.9, np.float32)
    scores[-1] = 0.5
    classes = np.zeros(many, np.int32)
    classes[-1] = 1
    found = Candidates(np.zeros((many, 4), np.float32), scores, classes)
    assert found.best(MOST_CANDIDATES).of(np.array([1], np.int32)).scores.size == 0
    assert found.of(np.array([1], np.int32)).best(MOST_CANDIDATES).scores.tolist() == [0.5]


V5 = np.array([[32, 16, 16, 8, 1.0, 0.0, 0.9], [10, 10, 8, 8, 1.0, 0.5, 0.0]], np.float32)
ROWS = np.array([[24, 12, 40, 20, 0.9, 1], [6, 6, 14, 14, 0.5, 0], [0, 0, 0, 0, 0, 0]], np.float32)
PARTS = np.array([[0.5, 0.5, 0.25, 0.25, 0.0, 0.9], [0.2, 0.2, 0.1, 0.1, 0.5, 0.0]], np.float32)
PARTS_BEST = np.array([[0.5, 0.5, 0.25, 0.25, 0.9, 1], [0.2, 0.2, 0.1, 0.1, 0.5, 0]], np.float32)


@pytest.mark.parametrize(
    ("head", "rows"),
    [
        ("yolov8", OVERLAPPING),
        ("yolov5", V5),
        ("end-to-end", ROWS),
        ("rtdetr", PARTS_BEST),
        ("rtdetr-scores", PARTS),
    ],
)
def test_every_head_drops_the_other_classes_before_it_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, head: str, rows: npt.NDArray[np.float32]
) -> None:
    monkeypatch.setenv("FRAMEFUSE_DETECTION_HEAD", head)
    for classes, labels in ((None, ["car"]), ("ball", ["ball"]), ("1", ["car"])):
        stage = a_stage(tmp_path, rows, max_det=1, classes=classes)
        (answer,) = answers(stage, a_photo())
        assert [found.label for found in answer.objects] == labels
