"""What YOLOv5 finds with a file of its own layout (N×(5 + classes)), framefuse finds too."""

from importlib.util import find_spec
from pathlib import Path

import onnxruntime as ort
import pytest

from framefuse.settings import load
from processors.detection.settings import DetectionSettings
from processors.detection.stage import Detection
from processors.providers import Provider
from tests.oracle.boxes import PICTURES, assert_same, found_by
from tests.oracle.exports_yolov5 import export, predict

pytestmark = [
    pytest.mark.skipif(
        find_spec("ultralytics") is None, reason="ultralytics is not installed here: make test-oracle"
    ),
    pytest.mark.filterwarnings("ignore"),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(tmp_path_factory.mktemp("yolov5") / "yolov5.onnx")


@pytest.mark.parametrize("name", PICTURES)
def test_the_boxes_are_those_of_yolov5(model: Path, pictures: Path, name: str) -> None:
    detector = Detection(load(DetectionSettings, model=model, provider=Provider.CPU))
    (found,) = found_by(detector, pictures / name)
    assert_same(predict(ort.InferenceSession(model), pictures / name), found)
