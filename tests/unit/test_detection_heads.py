import numpy as np
import pytest

from framefuse.errors import ModelUnusable
from processors.detection.heads import end_to_end, yolov5
from processors.detection.heads.choice import Evidence, choose_head
from processors.detection.heads.head import HeadName, Output, Shape


def a_file(
    *shapes: Shape,
    classes: int | None = None,
    end_to_end: bool | None = None,
    canvas: tuple[int, int] = (640, 640),
) -> Evidence:
    outputs = [Output(f"output{number}", shape) for number, shape in enumerate(shapes)]
    return Evidence("d.onnx", outputs, canvas, classes, end_to_end)


@pytest.mark.parametrize(
    ("seen", "name"),
    [
        (a_file((1, 84, 8400), classes=80), HeadName.YOLOV8),
        (a_file((1, 84, 8400)), HeadName.YOLOV8),
        (a_file((1, 84, 8400), classes=80, end_to_end=False), HeadName.YOLOV8),
        (a_file((1, 3004, 8400)), HeadName.YOLOV8),
        (a_file((1, 84, 5040), canvas=(640, 384)), HeadName.YOLOV8),
        (a_file((1, 84, 34_000), canvas=(1280, 1280)), HeadName.YOLOV8),
        (a_file((1, 5, 2100), classes=1, canvas=(320, 320)), HeadName.YOLOV8),
        (a_file((1, 25_200, 85), classes=80), HeadName.YOLOV5),
        (a_file((1, 25_200, 85)), HeadName.YOLOV5),
        (a_file((1, 25_200, 6)), HeadName.YOLOV5),
        (a_file((1, 25_200, 6), classes=1), HeadName.YOLOV5),
        (a_file((1, 25_200, 85), (1, 3, 80, 80, 85), classes=80), HeadName.YOLOV5),
        (a_file((1, 300, 6)), HeadName.END_TO_END),
        (a_file((1, 300, 6), classes=80, end_to_end=True), HeadName.END_TO_END),
        (a_file((1, 300, 6), classes=1), HeadName.END_TO_END),
        (a_file((1, 25_200, 6), classes=1, end_to_end=True), HeadName.END_TO_END),
    ],
)
def test_a_head_is_found_from_metadata_and_shapes(seen: Evidence, name: HeadName) -> None:
    assert choose_head(seen).head.name is name


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (a_file((1, 85, 85)), "does not tell what that is: say --head yolov8 or --head yolov5"),
        (a_file((1, 116, 8400), (1, 32, 160, 160)), "1×116×8400 and 1×32×160×160.*say --head yolov8"),
        (a_file((1, 84, 100)), "say --head yolov8 or --head yolov5"),
    ],
)
def test_a_file_that_leaves_a_doubt_is_refused_with_what_to_say(seen: Evidence, reason: str) -> None:
    with pytest.raises(ModelUnusable, match=reason):
        choose_head(seen)
    assert choose_head(seen, HeadName.YOLOV8).head.name is HeadName.YOLOV8


@pytest.mark.parametrize(
    "seen",
    [
        a_file((1, 4, 8400), classes=80),
        a_file((1, 56, 8400), classes=1),
        a_file((1, 116, 8400), (1, 32, 160, 160), classes=80),
        a_file((1, 84, 8400), classes=80, end_to_end=True),
        a_file((1, 300, 6), classes=80, end_to_end=False),
        a_file((1, 80), classes=80),
        a_file((1, 1, 80, 80)),
    ],
)
def test_a_file_that_no_head_fits_is_refused_with_what_is_known(seen: Evidence) -> None:
    with pytest.raises(ModelUnusable, match=r"expected 1×\(4\+classes\)×N \(yolov8\), .* \(end-to-end\)"):
        choose_head(seen)


@pytest.mark.parametrize(
    "seen", [a_file((1, 4, 8400)), a_file((1, 4, 2100), canvas=(320, 320)), a_file((1, 4, 8400), (1, 32))]
)
def test_a_yolo_of_no_classes_is_not_taken_for_another_head(seen: Evidence) -> None:
    with pytest.raises(ModelUnusable, match=r"1×4×.*without a class.*say --head yolov8\|yolov5\|"):
        choose_head(seen)
    assert choose_head(seen, HeadName.YOLOV5).head.name is HeadName.YOLOV5


def test_a_head_that_was_asked_for_and_cannot_be_is_refused() -> None:
    with pytest.raises(ModelUnusable, match=r"gives 1×84×8400 .*: --head end-to-end expects 1×N×6"):
        choose_head(a_file((1, 84, 8400), classes=80), HeadName.END_TO_END)


def test_in_yolov5_the_object_and_the_class_count_together() -> None:
    output = np.array(
        [
            [20, 10, 8, 4, 0.9, 0.3, 0.8],
            [50, 30, 2, 2, 0.4, 1.0, 0.1],
            [70, 30, 2, 2, 0.6, 0.5, 0.1],
        ],
        np.float32,
    )
    found = yolov5.candidates([output], 0.5)
    assert found is not None
    assert found.boxes.tolist() == [[16, 8, 24, 12]]
    assert found.class_ids.tolist() == [1]
    assert found.scores.tolist() == pytest.approx([0.72])


def test_an_end_to_end_model_is_taken_at_its_word() -> None:
    output = np.array([[1, 2, 3, 4, 0.9, 2], [1, 2, 3, 4, 0.8, 2], [0, 0, 0, 0, 0, 0]], np.float32)
    found = end_to_end.candidates([output], 0.25)
    assert found is not None
    assert found.boxes.tolist() == [[1, 2, 3, 4], [1, 2, 3, 4]]
    assert found.class_ids.tolist() == [2, 2]
    assert found.scores.tolist() == pytest.approx([0.9, 0.8])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("column", [0, 4, 5])
def test_an_output_that_is_not_finite_is_no_answer_of_any_head(bad: float, column: int) -> None:
    output = np.full((3, 6), 0.9, np.float32)
    output[1, column] = bad
    assert yolov5.candidates([output], 0.25) is None
    assert end_to_end.candidates([output], 0.25) is None
