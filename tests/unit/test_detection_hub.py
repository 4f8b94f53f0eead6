"""What a detector of Hugging Face says of itself, and what the stage makes of it; without torch."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from framefuse.errors import ModelUnusable
from framefuse.settings import load
from processors.detection.fitting import Edges
from processors.detection.settings import DetectionSettings
from processors.detection.stage import Detection
from processors.hub.families import family_of
from processors.hub.folder import HubFolder
from processors.hub.opening import Runtime
from tests.unit.models import a_detector
from tests.unit.test_detection_stage import a_photo, answers


def a_folder(model_type: str, processor: str, **pictures: Any) -> HubFolder:
    said = {"image_processor_type": processor, **pictures}
    config = {"model_type": model_type, "id2label": {"0": "cat", "1": "dog"}}
    return HubFolder(Path("pets"), "pets", config, said, pickled=False, sha256="0" * 64)


def told(folder: HubFolder) -> dict[str, str]:
    return dict(family_of(folder).describe(folder))


def test_an_rt_detr_stretches_pictures_and_scores_each_class_by_itself() -> None:
    assert told(a_folder("rt_detr", "RTDetrImageProcessor")) == {
        "task": "detect",
        "head": "detr",
        "resize": "stretch-smooth",
        "imgsz": "[640, 640]",
        "names": "{0: 'cat', 1: 'dog'}",
    }


def test_a_detr_keeps_the_aspect_normalises_and_has_a_class_for_nothing() -> None:
    said = told(a_folder("detr", "DetrImageProcessorFast", size={"shortest_edge": 400, "longest_edge": 600}))
    assert (said["head"], said["imgsz"], said["edges"]) == ("detr-softmax", "[400, 400]", "[400, 600]")
    assert (said["mean"], said["std"]) == ("[0.485, 0.456, 0.406]", "[0.229, 0.224, 0.225]")
    assert told(a_folder("detr", "DetrFeatureExtractor", size=800, max_size=1333))["edges"] == "[800, 1333]"


def test_a_yolos_takes_multiples_of_its_patches() -> None:
    assert told(a_folder("yolos", "YolosImageProcessor"))["multiple_of"] == "16"


def test_a_deformable_detr_gives_a_hundred_objects_at_most() -> None:
    assert told(a_folder("deformable_detr", "DeformableDetrImageProcessor"))["max_det"] == "100"


@pytest.mark.parametrize(
    ("folder", "reason"),
    [
        (a_folder("owlvit", "OwlViTImageProcessor"), "pets is a owlvit: expected one of conditional_detr"),
        (a_folder("detr", "YolosImageProcessor"), "says YolosImageProcessor: expected DetrImageProcessor"),
        (a_folder("detr", "DetrImageProcessor", do_resize=False), "do_resize False, expected True"),
        (a_folder("detr", "DetrImageProcessor", resample=3), r"resample is 3, expected 2 \(bilinear\)"),
        (a_folder("detr", "DetrImageProcessor", rescale_factor=1.0), "rescale_factor is 1.0, expected 1/255"),
        (a_folder("detr", "DetrImageProcessor", size={"shortest_edge": 9}), "expected a height and a width"),
        (a_folder("detr", "DetrImageProcessor", pad_size={"height": 9, "width": 9}), "a pad_size"),
        (a_folder("detr", "DetrImageProcessor", image_mean=0.5), "expected three numbers each"),
    ],
)
def test_pictures_that_are_made_in_another_way_are_refused(folder: HubFolder, reason: str) -> None:
    with pytest.raises(ModelUnusable, match=reason):
        told(folder)


@pytest.mark.parametrize(
    ("edges", "picture", "canvas"),
    [
        (Edges(800, 1333), (640, 480), (1066, 800)),
        (Edges(800, 1333), (480, 640), (800, 1066)),
        (Edges(800, 1333), (1280, 360), (1333, 375)),
        (Edges(800, 1333), (800, 800), (800, 800)),
        (Edges(800, 1333, 16), (480, 640), (800, 1056)),
        (Edges(800, 1333, 16), (1280, 360), (1328, 368)),
        (Edges(800, 1333), (5000, 1), (1333, 1)),
        (Edges(800, 1333, 16), (5000, 1), (1328, 16)),
    ],
)
def test_the_canvas_keeps_the_aspect_between_two_edges(
    edges: Edges, picture: tuple[int, int], canvas: tuple[int, int]
) -> None:
    assert edges.canvas(*picture) == canvas


def test_a_file_may_say_in_our_own_words_what_it_is(tmp_path: Path) -> None:
    rows = np.array([[24, 12, 40, 20, score, 0] for score in (0.9, 0.6, 0.5)], np.float32)
    said = {"head": "end-to-end", "max_det": "2", "resize": "stretch-smooth", "edges": "[32, 64]"}
    path = a_detector(
        tmp_path / "d.onnx", rows, size=("height", "width"), metadata={"imgsz": "[32, 32]", **said}
    )
    stage = Detection(load(DetectionSettings, model=path))
    photo = a_photo(width=640, height=480)
    assert stage.prepare(photo).tensor.shape == (1, 3, 32, 42)
    (answer,) = answers(stage, photo)
    assert [round(found.score, 3) for found in answer.objects] == [0.9, 0.6]


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [("edges", "[64, 32]", r"expected \[shortest, longest\]"), ("max_det", "0", "expected a whole number")],
)
def test_words_of_ours_that_make_no_sense_are_refused(
    tmp_path: Path, key: str, value: str, reason: str
) -> None:
    said = {"head": "end-to-end", "resize": "stretch-smooth", key: value}
    path = a_detector(tmp_path / "d.onnx", np.zeros((3, 6), np.float32), metadata=said)
    with pytest.raises(ModelUnusable, match=reason):
        Detection(load(DetectionSettings, model=path))


def test_a_file_on_torch_is_refused(tmp_path: Path) -> None:
    path = a_detector(tmp_path / "d.onnx", np.zeros((3, 6), np.float32))
    with pytest.raises(ModelUnusable, match="is a file: expected a folder"):
        Detection(load(DetectionSettings, model=path, runtime=Runtime.TORCH))
