"""What Ultralytics finds in a picture, framefuse finds too: same file, same picture, same boxes."""

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from framefuse.settings import load
from processors.detection.settings import DetectionSettings
from processors.detection.stage import Detection
from processors.providers import Provider
from tests.oracle.boxes import PICTURES, Found, assert_same, found_by
from tests.oracle.exports import export, opened
from tests.oracle.seeing import SIZE

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
    "yolov8n-int8": ("yolov8n", {"int8": True}),
    "yolov8n-int8-qdq": ("yolov8n", {"int8": "calibrated"}),
    "yolo11n-int8-qdq": ("yolo11n", {"int8": "calibrated"}),
    "rtdetr-l": ("rtdetr-l", {}),
}


@pytest.fixture(scope="module", autouse=True)
def _offline(tmp_path_factory: pytest.TempPathFactory) -> None:
    home = str(tmp_path_factory.mktemp("ultralytics"))
    os.environ.update(YOLO_OFFLINE="1", YOLO_AUTOINSTALL="0", YOLO_CONFIG_DIR=home)


@pytest.fixture(scope="module", params=FILES)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> "Twice":
    name, options = FILES[request.param]
    return Twice(export(name, tmp_path_factory.mktemp(request.param), **options))


class Twice:
    """One model file, open in both."""

    def __init__(self, path: Path) -> None:
        self._path, self._theirs = path, opened(str(path))
        self._ours = Detection(load(DetectionSettings, model=path, provider=Provider.CPU))

    def theirs(self, picture: Path) -> list[Found]:
        """What Ultralytics finds."""
        return predicted(self._theirs, picture)

    def theirs_of(self, classes: list[int], picture: Path) -> list[Found]:
        """What Ultralytics finds of these classes."""
        return predicted(self._theirs, picture, classes)

    def ours_of(self, classes: list[int], picture: Path) -> list[Found]:
        """What framefuse finds of them."""
        asked = ",".join(map(str, classes))
        (found,) = found_by(
            Detection(load(DetectionSettings, model=self._path, provider=Provider.CPU, classes=asked)),
            picture,
        )
        return found

    def ours(self, picture: Path) -> list[Found]:
        """What framefuse finds."""
        (found,) = found_by(self._ours, picture)
        return found


def predicted(
    model: Any,  # noqa: ANN401 - Ultralytics has no types here
    picture: Path,
    classes: list[int] | None = None,
) -> list[Found]:
    """What Ultralytics finds; boxes clipped to the picture, which it leaves out for RT-DETR."""
    (result,) = model.predict(
        str(picture),
        imgsz=SIZE,
        conf=0.25,
        iou=0.7,
        max_det=300,
        classes=classes,
        device="cpu",
        verbose=False,
    )
    height, width = result.orig_shape
    clipped = np.clip(result.boxes.xyxy.numpy(), 0, [width, height, width, height])
    corners, scores, classes = (values.tolist() for values in (clipped, result.boxes.conf, result.boxes.cls))
    return [Found(int(k), score, box) for k, score, box in zip(classes, scores, corners, strict=True)]


@pytest.mark.parametrize("name", PICTURES)
def test_the_boxes_are_those_of_ultralytics(model: Twice, pictures: Path, name: str) -> None:
    assert_same(model.theirs(pictures / name), model.ours(pictures / name))


def test_the_boxes_of_some_classes_are_those_of_ultralytics(model: Twice, pictures: Path) -> None:
    picture = pictures / next(iter(PICTURES))
    classes = sorted({one.class_id for one in model.ours(picture)})
    some = classes[: max(1, len(classes) - 1)]
    assert_same(model.theirs_of(some, picture), model.ours_of(some, picture))
