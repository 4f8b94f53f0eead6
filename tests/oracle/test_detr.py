"""What transformers finds in a picture with a DETR, framefuse finds too, from its ONNX file."""

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest

from framefuse.pictures.decoding import decode
from framefuse.settings import load
from processors.detection.settings import DetectionSettings
from processors.detection.stage import Detection
from processors.providers import Provider
from tests.oracle.boxes import PICTURES, Found, assert_same, found_by
from tests.oracle.exports_detr import a_d_fine, an_rt_detr, export, export_with_boxes
from tests.oracle.seeing import SIZE

if TYPE_CHECKING:
    from torch.nn import Module

pytestmark = [
    pytest.mark.skipif(
        find_spec("transformers") is None, reason="transformers is not installed here: make test-oracle"
    ),
    pytest.mark.filterwarnings("ignore"),
]
LOWEST = 0.25


class Kind(NamedTuple):
    """A model, how it is exported, and what its image processor is told."""

    model: "Callable[[], Module]"
    export: "Callable[[Module, Path], Path]" = export
    processor: Mapping[str, Any] = {}


NORMALISED = {"do_normalize": True, "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
KINDS: Mapping[str, Kind] = {
    "rt-detr": Kind(an_rt_detr),
    "rt-detr-normalised": Kind(an_rt_detr, processor=NORMALISED),
    "rt-detr-boxes": Kind(an_rt_detr, export_with_boxes),
    "d-fine": Kind(a_d_fine),
    "d-fine-boxes": Kind(a_d_fine, export_with_boxes),
}


class Twice:
    """One model, in transformers and as an ONNX file."""

    def __init__(self, kind: Kind, folder: Path) -> None:
        from transformers import RTDetrImageProcessor

        self._model = kind.model()
        self._processor = RTDetrImageProcessor(size={"height": SIZE, "width": SIZE}, **kind.processor)
        self._model.config.save_pretrained(folder)
        self._processor.save_pretrained(folder)
        path = kind.export(self._model, folder / "model.onnx")
        self._ours = Detection(load(DetectionSettings, model=path, provider=Provider.CPU))

    def theirs(self, picture: Path) -> list[Found]:
        """What transformers finds; boxes clipped to the picture, as ours are."""
        import torch

        shown = decode(picture.read_bytes())[..., ::-1].copy()
        height, width = shown.shape[:2]
        with torch.no_grad():
            outputs = self._model(**self._processor(images=shown, return_tensors="pt"))
        (result,) = self._processor.post_process_object_detection(
            outputs, threshold=LOWEST, target_sizes=[(height, width)]
        )
        corners = np.clip(result["boxes"].numpy(), 0, [width, height, width, height]).tolist()
        each = zip(result["labels"].tolist(), result["scores"].tolist(), corners, strict=True)
        return [Found(label, score, box) for label, score, box in each]

    def ours(self, picture: Path) -> list[Found]:
        """What framefuse finds."""
        (found,) = found_by(self._ours, picture)
        return found


@pytest.fixture(scope="module", params=KINDS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Twice:
    return Twice(KINDS[request.param], tmp_path_factory.mktemp(request.param))


@pytest.mark.parametrize("name", PICTURES)
def test_the_boxes_are_those_of_transformers(model: Twice, pictures: Path, name: str) -> None:
    assert_same(model.theirs(pictures / name), model.ours(pictures / name))
