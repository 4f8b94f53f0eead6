"""What transformers finds with a detector of Hugging Face, framefuse finds too, from its folder on torch."""

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest

from framefuse.settings import load
from processors.detection.settings import DetectionSettings
from processors.detection.stage import Detection
from processors.providers import Provider
from tests.oracle import exports_detr as detectors
from tests.oracle.boxes import PICTURES, Found, assert_same, found_by
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
SQUARE = {"size": {"height": SIZE, "width": SIZE}}
EDGES = {"size": {"shortest_edge": 200, "longest_edge": 333}}
"""As DETR has them, smaller."""


class Kind(NamedTuple):
    """A model, and its picture processor with what that is told."""

    model: "Callable[[], Module]"
    processor: str
    told: Mapping[str, Any]


KINDS: Mapping[str, Kind] = {
    "rt-detr": Kind(detectors.an_rt_detr_1, "RTDetrImageProcessor", SQUARE),
    "rt-detr-v2": Kind(detectors.an_rt_detr, "RTDetrImageProcessor", SQUARE),
    "rt-detr-normalised": Kind(
        detectors.an_rt_detr, "RTDetrImageProcessor", {**SQUARE, "do_normalize": True}
    ),
    "d-fine": Kind(detectors.a_d_fine, "RTDetrImageProcessor", SQUARE),
    "detr": Kind(detectors.a_detr, "DetrImageProcessor", EDGES),
    "detr-square": Kind(detectors.a_detr, "DetrImageProcessor", SQUARE),
    "conditional-detr": Kind(detectors.a_conditional_detr, "ConditionalDetrImageProcessor", EDGES),
    "deformable-detr": Kind(detectors.a_deformable_detr, "DeformableDetrImageProcessor", EDGES),
    "yolos": Kind(detectors.a_yolos, "YolosImageProcessor", EDGES),
}


class Twice:
    """One folder, open in the object-detection pipeline of transformers and in ours."""

    def __init__(self, kind: Kind, folder: Path) -> None:
        import transformers

        kind.model().save_pretrained(folder)
        getattr(transformers, kind.processor)(**kind.told).save_pretrained(folder)
        self._theirs = transformers.pipeline("object-detection", model=str(folder), device="cpu")
        # It cuts pixels off to whole ones: keep them.
        self._theirs._get_bounding_box = lambda box: box.tolist()
        self._numbers = self._theirs.model.config.label2id
        self._ours = Detection(load(DetectionSettings, model=folder, provider=Provider.CPU))

    def theirs(self, picture: Path) -> list[Found]:
        """What transformers finds; boxes clipped to the picture, as ours are."""
        from PIL import Image

        shown = Image.open(picture).convert("RGB")
        width, height = shown.size
        return [
            Found(
                self._numbers[one["label"]],
                one["score"],
                np.clip(one["box"], 0, [width, height, width, height]).tolist(),
            )
            for one in self._theirs(shown, threshold=LOWEST)
        ]

    def ours(self, *pictures: Path) -> list[list[Found]]:
        """What framefuse finds."""
        return found_by(self._ours, *pictures)


@pytest.fixture(scope="module", params=KINDS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Twice:
    return Twice(KINDS[request.param], tmp_path_factory.mktemp(request.param))


@pytest.mark.parametrize("name", PICTURES)
def test_the_boxes_are_those_of_the_pipeline_of_transformers(model: Twice, pictures: Path, name: str) -> None:
    (found,) = model.ours(pictures / name)
    assert_same(model.theirs(pictures / name), found)
