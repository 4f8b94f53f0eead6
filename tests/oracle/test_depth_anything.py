"""A Depth Anything of transformers gives the same numbers here, on torch and exported as an ONNX file."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest

from processors.depth.fitting import Fitting, fitting_of
from processors.hub.exporting import export
from processors.hub.opening import Wish, open_model
from processors.picture_model import PictureModel
from processors.providers import Provider
from tests.oracle.seeing import a_texture, as_input

if TYPE_CHECKING:
    from torch.nn import Module

pytestmark = [
    pytest.mark.skipif(
        find_spec("transformers") is None, reason="transformers is not installed here: make test-oracle"
    ),
    pytest.mark.filterwarnings("ignore"),
]
SIDE = 70
METRIC = {"depth_estimation_type": "metric", "max_depth": 80}
KINDS: dict[str, dict[str, Any]] = {"relative": {}, "metric": METRIC}
SHAPES = [(640, 480), (900, 300), (250, 700), (641, 427), (70, 70), (17, 11)]
"""Width and height; wide, tall, odd, as it is, tiny."""
ON_CPU = Wish(provider=Provider.CPU)


class Twice:
    """One model: in transformers, here on torch, and here as an ONNX file."""

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        from transformers import DPTImageProcessor, pipeline

        model = a_depth_anything(config)
        self.processor = DPTImageProcessor(
            size={"height": SIDE, "width": SIDE},
            keep_aspect_ratio=True,
            ensure_multiple_of=14,
            image_mean=[0.485, 0.456, 0.406],
            image_std=[0.229, 0.224, 0.225],
        )
        model.save_pretrained(folder)
        self.processor.save_pretrained(folder)
        self._pipeline = pipeline("depth-estimation", model=str(folder), device="cpu")
        self.torch = open_model(str(folder), ON_CPU)
        self.onnx = open_model(str(export(str(folder), folder.with_suffix(".onnx"))), ON_CPU)
        self.fitting: Fitting = fitting_of(self.onnx)

    def theirs(self, picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """The map as the network gave it, which the pipeline then stretches to the picture."""
        inputs = self._pipeline.preprocess(as_pillow(picture))
        maps = self._pipeline.forward(inputs)["predicted_depth"]
        return np.asarray(maps.float().cpu().numpy(), np.float32)


def a_depth_anything(config: dict[str, Any]) -> "Module":
    """A small one of random weights, whose maps keep away from the zero at which its last layer cuts."""
    import torch
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

    torch.manual_seed(3)
    backbone = Dinov2Config(
        hidden_size=32,
        num_hidden_layers=4,
        num_attention_heads=2,
        image_size=SIDE,
        out_features=["stage1", "stage2", "stage3", "stage4"],
        reshape_hidden_states=False,
        patch_size=14,
    )
    model = DepthAnythingForDepthEstimation(
        DepthAnythingConfig(
            backbone_config=backbone,
            reassemble_hidden_size=32,
            neck_hidden_sizes=[16, 24, 32, 32],
            fusion_hidden_size=16,
            head_hidden_size=8,
            **config,
        )
    ).eval()
    _spread_out(model)
    return model


def _spread_out(model: Any) -> None:  # noqa: ANN401 - torch has no types here
    """Scale the layers of neck and head on one picture, so that what the last one says is 1 ± 0.2."""
    import torch

    def scaled(layer: Any, _inputs: object, output: Any) -> Any:  # noqa: ANN401
        factor = (0.2 if layer is model.head.conv3 else 1.0) / output.std()
        layer.weight.mul_(factor)
        if layer.bias is not None:
            layer.bias.mul_(factor)
        moved = output * factor
        if layer is not model.head.conv3:
            return moved
        shift = 1 - moved.mean()
        layer.bias.add_(shift)
        return moved + shift

    layers = [
        layer
        for part in (model.neck, model.head)
        for layer in part.modules()
        if isinstance(layer, torch.nn.Conv2d | torch.nn.ConvTranspose2d)
    ]
    hooks = [layer.register_forward_hook(scaled) for layer in layers]
    with torch.no_grad():
        picture = as_input(a_texture(SIDE * 2, SIDE, seed=1))
        model(torch.from_numpy(picture))
    for hook in hooks:
        hook.remove()


def as_pillow(picture: npt.NDArray[np.uint8]) -> object:
    """Of a BGR picture."""
    from torchvision.transforms.functional import to_pil_image

    shown: object = to_pil_image(picture[..., ::-1].copy())
    return shown


@pytest.fixture(scope="module", params=KINDS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Twice:
    return Twice(tmp_path_factory.mktemp(request.param), KINDS[request.param])


@pytest.mark.parametrize(("width", "height"), SHAPES)
def test_the_input_is_that_of_dpt_image_processor_in_every_bit(model: Twice, width: int, height: int) -> None:
    picture = a_texture(width, height, seed=5)
    theirs = model.processor(as_pillow(picture), return_tensors="np")["pixel_values"]
    np.testing.assert_array_equal(model.fitting.fit(picture), theirs)


@pytest.mark.parametrize(("width", "height"), SHAPES)
def test_the_map_is_that_of_the_pipeline(model: Twice, width: int, height: int) -> None:
    picture = a_texture(width, height, seed=5)
    theirs = model.theirs(picture)
    assert theirs.std() > 1e-2 * theirs.mean() > 0
    np.testing.assert_allclose(model.torch.run(model.fitting.fit(picture)), theirs, rtol=1e-5)
    np.testing.assert_allclose(model.onnx.run(model.fitting.fit(picture)), theirs, rtol=1e-3)


@pytest.mark.parametrize("runtime", ["torch", "onnx"])
def test_a_batch_has_the_maps_of_its_pictures(model: Twice, runtime: str) -> None:
    opened: PictureModel = getattr(model, runtime)
    pictures = [model.fitting.fit(a_texture(641, 427, seed)) for seed in range(3)]
    alone = np.concatenate([opened.run(picture) for picture in pictures])
    np.testing.assert_allclose(opened.run(np.concatenate(pictures)), alone, rtol=1e-3)


def test_both_say_the_same_of_themselves(model: Twice) -> None:
    about = dict(model.onnx.metadata)
    assert about.pop("source") == model.torch.identity.name
    assert about.pop("source_sha256") == model.torch.identity.sha256
    assert about == model.torch.metadata
