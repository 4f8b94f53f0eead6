"""What Ultralytics finds in a picture, framefuse finds too: same file, same picture, same boxes."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from framefuse.pictures.decoding import measure
from framefuse.settings import load
from framefuse.types import Prepared
from processors.detection.settings import DetectionSettings
from processors.detection.stage import Detection
from processors.onnx import Provider
from schemas.records import Detections
from tests.oracle.exports import SIZE, a_texture, export
from tests.unit.builders import a_frame, a_record

pytestmark = [
    pytest.mark.skipif(
        find_spec("ultralytics") is None, reason="ultralytics is not installed here: make test-oracle"
    ),
    pytest.mark.filterwarnings("default"),
]

FILES: Mapping[str, tuple[str, dict[str, Any]]] = {
    "yolov8n": ("yolov8n", {}),
    "yolov8n-wide": ("yolov8n", {"imgsz": [192, 320]}),
    "yolov8n-dynamic": ("yolov8n", {"dynamic": True}),
    "yolov8n-half": ("yolov8n", {"half": True}),
    "yolov8n-half-dynamic": ("yolov8n", {"half": True, "dynamic": True}),
    "yolov8n-half-inside": ("yolov8n", {"quantize": 16}),
    "yolov8n-nms": ("yolov8n", {"nms": True}),
    "yolov8n-dynamic-nms": ("yolov8n", {"dynamic": True, "nms": True}),
    "yolov5nu": ("yolov5n", {}),
    "yolov5nu-dynamic": ("yolov5n", {"dynamic": True}),
    "yolov5nu-nms": ("yolov5n", {"nms": True}),
    "yolo11n": ("yolo11n", {}),
    "yolo11n-dynamic": ("yolo11n", {"dynamic": True}),
    "yolo11n-nms": ("yolo11n", {"nms": True}),
    "yolov10n": ("yolov10n", {}),
    "yolov10n-end-to-end": ("yolov10n", {"nms": False}),
    "yolov10n-end-to-end-dynamic": ("yolov10n", {"nms": False, "dynamic": True}),
    "yolov10n-nms": ("yolov10n", {"nms": True}),
    "yolo26n": ("yolo26n", {}),
    "yolo26n-end-to-end-half": ("yolo26n", {"nms": False, "half": True}),
    "yolo26n-end-to-end": ("yolo26n", {"nms": False}),
    "yolo26n-end-to-end-dynamic": ("yolo26n", {"nms": False, "dynamic": True}),
    "yolo26n-nms": ("yolo26n", {"nms": True}),
}
PICTURES = {
    "wide.jpg": (1280, 360),
    "tall.jpg": (333, 900),
    "tiny.png": (17, 11),
    "odd.jpg": (641, 427),
    "grey.png": (500, 375),
    "rounds-down.jpg": (1000, 701),
}


class Found(NamedTuple):
    """One object."""

    class_id: int
    score: float
    corners: list[float]


@pytest.fixture(scope="module", autouse=True)
def _offline(tmp_path_factory: pytest.TempPathFactory) -> None:
    home = str(tmp_path_factory.mktemp("ultralytics"))
    os.environ.update(YOLO_OFFLINE="1", YOLO_AUTOINSTALL="0", YOLO_CONFIG_DIR=home)


@pytest.fixture(scope="module", params=FILES)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> "Twice":
    name, options = FILES[request.param]
    return Twice(export(name, tmp_path_factory.mktemp(request.param), **options))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for seed, (name, (width, height)) in enumerate(PICTURES.items()):
        picture = a_texture(width, height, seed)
        shown = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY) if name == "grey.png" else picture
        assert cv2.imwrite(str(folder / name), shown)
    return folder


class Twice:
    """One model file, open in both."""

    def __init__(self, path: Path) -> None:
        from ultralytics import YOLO

        self._theirs = YOLO(str(path), task="detect")
        self._ours = Detection(load(DetectionSettings, model=path, provider=Provider.CPU))

    def theirs(self, picture: Path) -> list[Found]:
        """What Ultralytics finds."""
        (result,) = self._theirs.predict(
            str(picture), imgsz=SIZE, conf=0.25, iou=0.7, max_det=300, device="cpu", verbose=False
        )
        corners, scores, classes = (
            values.tolist() for values in (result.boxes.xyxy, result.boxes.conf, result.boxes.cls)
        )
        return [Found(int(k), score, box) for k, score, box in zip(classes, scores, corners, strict=True)]

    def ours(self, picture: Path) -> list[Found]:
        """What framefuse finds."""
        image = picture.read_bytes()
        encoding, width, height = measure(image)
        frame = replace(a_frame(image=image, width=width, height=height), encoding=encoding)
        record = a_record(frame, "framefuse.frames", 0)
        (answer,) = self._ours.process([Prepared(record, self._ours.prepare(record), 0.0, 0.0)])
        assert isinstance(answer, Detections), answer
        return [
            Found(one.class_id, one.score, [one.box.x_min, one.box.y_min, one.box.x_max, one.box.y_max])
            for one in answer.objects
        ]


def overlap(one: Found, others: Sequence[Found]) -> npt.NDArray[np.float64]:
    """Intersection over union of one box with each of the others."""
    box, boxes = np.array(one.corners), np.array([other.corners for other in others]).reshape(-1, 4)
    sides = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    shared = np.prod(sides.clip(0), axis=1)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) + np.prod(box[2:] - box[:2])
    same = (np.abs(boxes - box) < 1e-3).all(axis=1)
    return np.where(same, 1.0, shared / np.maximum(areas - shared, 1e-12))


@pytest.mark.parametrize("name", PICTURES)
def test_the_boxes_are_those_of_ultralytics(model: Twice, pictures: Path, name: str) -> None:
    expected, found = model.theirs(pictures / name), model.ours(pictures / name)
    assert len(expected) >= 5, "no test without boxes"
    assert len(found) == len(expected)
    left = list(found)
    for one in expected:
        near = [k for k, other in enumerate(left) if other.class_id == one.class_id]
        assert near, f"{one} has no counterpart of its class"
        overlaps = overlap(one, [left[k] for k in near])
        pair = left.pop(near[int(overlaps.argmax())])
        assert overlaps.max() >= 0.99, (one, pair)
        assert abs(one.score - pair.score) <= 1e-3, (one, pair)
