import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, helper

from framefuse.errors import ModelUnusable
from framefuse.settings import load
from processors.detection.beside import Beside, read_beside
from processors.detection.decode import Candidates
from processors.detection.fitting import Fitting, Resize
from processors.detection.heads.choice import Evidence, choose_head
from processors.detection.heads.detr import DETR, DETR_SOFTMAX, LABELS_BOXES_SCORES
from processors.detection.heads.head import Head, HeadName, Output
from processors.detection.heads.rtdetr import RTDETR, RTDETR_SCORES
from processors.detection.settings import DetectionSettings, choose_fitting
from processors.detection.stage import Detection
from processors.onnx import OnnxModel
from tests.unit.builders import a_frame, a_record
from tests.unit.models import a_detector

PROCESSOR = {
    "do_resize": True,
    "do_rescale": True,
    "do_normalize": False,
    "size": {"height": 384, "width": 640},
}
BOXES = [[0.5, 0.5, 0.5, 0.25], [0.25, 0.5, 0.5, 0.5]]
CORNERS = [[0.25, 0.375, 0.75, 0.625], [0.0, 0.25, 0.5, 0.75]]


def numbers(rows: Sequence[Any]) -> npt.NDArray[np.float32]:
    return np.array(rows, np.float32)


def found(candidates: Candidates | None) -> tuple[list[list[float]], list[int], list[float]]:
    assert candidates is not None
    scores = [round(score, 3) for score in candidates.scores.tolist()]
    return candidates.boxes.tolist(), candidates.class_ids.tolist(), scores


def a_file(outputs: dict[str, tuple[int, ...]], classes: int | None = None, decoder: str = "") -> Evidence:
    named = [Output(name, shape) for name, shape in outputs.items()]
    return Evidence("d.onnx", named, (640, 640), classes, None, decoder)


def test_rtdetr_gives_its_best_boxes_by_their_corners() -> None:
    output = numbers([[*BOXES[0], 0.9, 3], [*BOXES[1], 0.2, 1]])
    assert found(RTDETR.candidates([output], 0.25)) == ([CORNERS[0]], [3], [0.9])


def test_rtdetr_of_before_gives_the_best_class_of_each_box_best_first() -> None:
    output = numbers([[*BOXES[0], 0.1, 0.6], [*BOXES[1], 0.8, 0.7]])
    assert found(RTDETR_SCORES.candidates([output], 0.25)) == ([CORNERS[1], CORNERS[0]], [0, 1], [0.8, 0.6])


def test_in_detr_one_box_may_count_for_two_classes() -> None:
    logits = numbers([[0.0, 2.0], [-100.0, -9.0]])
    boxes = found(DETR.candidates([logits, numbers(BOXES)], 0.25))
    assert boxes == ([CORNERS[0], CORNERS[0]], [1, 0], [0.881, 0.5])


def test_in_softmax_detr_the_last_class_is_nothing() -> None:
    logits = numbers([[0.0, 0.0, 9.0], [0.0, 9.0, 0.0]])
    boxes = found(DETR_SOFTMAX.candidates([logits, numbers(BOXES)], 0.25))
    assert boxes == ([CORNERS[1]], [1], [1.0])


def test_labels_boxes_and_scores_are_taken_at_their_word_best_first() -> None:
    outputs = [
        np.array([4, 7, 1]),
        numbers([[1, 2, 3, 4], [5, 6, 7, 8], [0, 0, 0, 0]]),
        numbers([0.5, 0.9, 0.1]),
    ]
    assert found(LABELS_BOXES_SCORES.candidates(outputs, 0.25)) == (
        [[5, 6, 7, 8], [1, 2, 3, 4]],
        [7, 4],
        [0.9, 0.5],
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("head", [DETR, DETR_SOFTMAX])
def test_logits_or_boxes_that_are_not_finite_are_no_answer(head: Head, bad: float) -> None:
    assert head.candidates([numbers([[0, bad], [0, 0]]), numbers(BOXES)], 0.25) is None
    assert head.candidates([numbers([[0, 0], [0, 0]]), numbers(BOXES) * bad], 0.25) is None


@pytest.mark.parametrize(
    ("seen", "name"),
    [
        (a_file({"output0": (1, 300, 6)}, 80, "RTDETRDecoder"), HeadName.RTDETR),
        (a_file({"output0": (1, 300, 84)}, 80, "RTDETRDecoder"), HeadName.RTDETR_SCORES),
        (a_file({"output0": (1, 300, 84)}, 80), HeadName.RTDETR_SCORES),
        (
            a_file({"labels": (1, 300), "boxes": (1, 300, 4), "scores": (1, 300)}),
            HeadName.LABELS_BOXES_SCORES,
        ),
        (a_file({"logits": (1, 300, 80), "pred_boxes": (1, 300, 4)}, 80), HeadName.DETR),
        (a_file({"logits": (1, 100, 92), "pred_boxes": (1, 100, 4)}, 91), HeadName.DETR_SOFTMAX),
    ],
)
def test_a_head_of_detr_is_found(seen: Evidence, name: HeadName) -> None:
    assert choose_head(seen).head.name is name


def test_logits_without_names_leave_a_doubt_that_is_refused() -> None:
    seen = a_file({"logits": (1, 300, 80), "pred_boxes": (1, 300, 4)})
    with pytest.raises(ModelUnusable, match="say --head detr or --head detr-softmax"):
        choose_head(seen)


def test_a_decoder_with_two_classes_could_have_picked_its_boxes_or_not_and_is_refused() -> None:
    seen = a_file({"output0": (1, 300, 6)}, 2, "RTDETRDecoder")
    with pytest.raises(ModelUnusable, match="say --head rtdetr or --head rtdetr-scores"):
        choose_head(seen)
    assert choose_head(seen, HeadName.RTDETR_SCORES).head.name is HeadName.RTDETR_SCORES


def beside(tmp_path: Path, processor: dict[str, Any] | None, config: dict[str, Any] | None = None) -> Beside:
    for name, said in (("preprocessor_config.json", processor), ("config.json", config)):
        if said is not None:
            (tmp_path / name).write_text(json.dumps(said))
    return read_beside(tmp_path / "onnx" / "model.onnx")


def test_what_lies_beside_a_file_names_classes_size_and_colours(tmp_path: Path) -> None:
    colours = {"do_normalize": True, "image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.2, 0.1]}
    said = beside(tmp_path, PROCESSOR | colours, {"id2label": {"0": "car"}})
    fitting = Fitting(Resize.STRETCH_SMOOTH, (0.5, 0.4, 0.3), (0.2, 0.2, 0.1))
    assert said == Beside({0: "car"}, fitting, (384, 640))


def test_nothing_beside_a_file_says_nothing(tmp_path: Path) -> None:
    assert beside(tmp_path, None) == Beside()


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"do_pad": True}, "says do_pad is True"),
        ({"resample": 3}, "says resample is 3"),
        ({"size": {"shortest_edge": 800}}, "only a height and a width"),
        ({"do_normalize": True, "image_mean": [1]}, "image_mean is .*expected three numbers"),
    ],
)
def test_what_is_not_done_here_is_refused(tmp_path: Path, more: dict[str, Any], reason: str) -> None:
    with pytest.raises(ModelUnusable, match=reason):
        beside(tmp_path, PROCESSOR | more)


def asking(**more: str) -> DetectionSettings:
    return load(DetectionSettings, **more)


def test_a_fitting_that_nobody_says_is_refused_and_one_that_is_said_is_taken() -> None:
    with pytest.raises(ModelUnusable, match=r"preprocessor_config\.json beside it"):
        choose_fitting(asking(), "d.onnx", DETR, None)
    assert choose_fitting(asking(), "d.onnx", RTDETR, None) == Fitting(Resize.STRETCH)
    told = asking(resize="stretch-smooth", mean="0.5,0.5,0.5", std="1,1,1")
    assert choose_fitting(told, "d.onnx", DETR, None) == Fitting(Resize.STRETCH_SMOOTH, (0.5, 0.5, 0.5))


def test_a_file_of_free_size_takes_the_size_that_lies_beside_it(tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(PROCESSOR))
    path = a_detector(tmp_path / "free.onnx", numbers([[0.5], [0.5], [0.5], [0.5], [0.9]]), size=("h", "w"))
    stage = Detection(asking(model=str(path), head="yolov8"))
    image = cv2.imencode(".jpg", np.zeros((50, 100, 3), np.uint8))[1].tobytes()
    frame = a_frame(image=image, width=100, height=50)
    assert stage.prepare(a_record(frame, "framefuse.frames", 0)).tensor.shape == (1, 3, 384, 640)


def test_a_second_input_gets_the_width_and_height_of_the_canvas(tmp_path: Path) -> None:
    takes = [
        helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 32, 64]),
        helper.make_tensor_value_info("orig_target_sizes", TensorProto.INT64, [1, 2]),
    ]
    gives = [helper.make_tensor_value_info("sizes", TensorProto.INT64, [1, 2])]
    node = helper.make_node("Identity", ["orig_target_sizes"], ["sizes"])
    graph = helper.make_graph([node], "sizes", takes, gives)
    opset = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=10), tmp_path / "sizes.onnx")
    (sizes,) = OnnxModel(tmp_path / "sizes.onnx").run_all(np.zeros((1, 3, 32, 64), np.float32))
    assert sizes.tolist() == [[64, 32]]
