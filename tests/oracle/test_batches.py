"""Pictures that go through a model together get the boxes that each gets alone in Ultralytics."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from framefuse.settings import load
from processors.detection.settings import DetectionSettings
from processors.detection.stage import Detection
from processors.onnx.tuning import Tuning
from processors.providers import Provider
from tests.oracle.boxes import PICTURES, Found, assert_same, draw_pictures, found_by
from tests.oracle.exports import export, opened
from tests.oracle.test_ultralytics import predicted

pytestmark = [
    pytest.mark.skipif(
        find_spec("ultralytics") is None, reason="ultralytics is not installed here: make test-oracle"
    ),
    pytest.mark.filterwarnings("default"),
]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = draw_pictures(tmp_path_factory.mktemp("pictures"))
    return [folder / name for name in PICTURES]


@pytest.mark.parametrize("name", ["yolo11n", "yolov10n"])
@pytest.mark.parametrize("options", [{"batch": 4}, {"dynamic": True}], ids=["four", "as many as there are"])
def test_a_batch_gives_each_picture_its_own_boxes(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pictures: list[Path],
    name: str,
    options: dict[str, Any],
) -> None:
    monkeypatch.setattr(DetectionSettings, "tuning", Tuning(8, as_on_gpu=True))
    alone = opened(str(export(name, tmp_path, **options | {"batch": 1})))
    expected: list[list[Found]] = [predicted(alone, picture) for picture in pictures]
    # Into the same file, which Ultralytics has read by now.
    together = Detection(
        load(DetectionSettings, model=export(name, tmp_path, **options), provider=Provider.CPU)
    )
    found = found_by(together, *pictures, *reversed(pictures))
    for one, boxes in zip([*expected, *reversed(expected)], found, strict=True):
        assert_same(one, boxes)
