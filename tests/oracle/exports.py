"""YOLO files as Ultralytics exports them, of random weights whose scores are spread so that there are boxes.

Needs Ultralytics (AGPL), which only these tests may import.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt
import onnx

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

SIZE = 320
_LOGIT_MEAN, _LOGIT_SPREAD = -7.0, 2.0
"""Of the class scores: about one cell in ten has a class above 0.25."""
_SIDE_MEAN, _SIDE_SPREAD = 2.0, 1.0
"""Of the sides of boxes in cells, where they are not a distribution: a few boxes are inside out."""


def a_texture(width: int, height: int, seed: int) -> npt.NDArray[np.uint8]:
    """Blobs of all sizes and colours, H×W×3."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((height, width, 3), np.float32)
    for cells in (3, 9, 27):
        noise = rng.uniform(0, 255 / 3, (cells, cells, 3)).astype(np.float32)
        picture += cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    return picture.clip(0, 255).astype(np.uint8)


def export(name: str, folder: Path, *, half: bool = False, **options: object) -> Path:
    """An ONNX file of `name` (such as yolov8n), seeded.

    Args:
        name: of a yaml of Ultralytics.
        folder: where it goes.
        half: what it takes and gives is float16, as in a file exported on a GPU.
        options: as for Ultralytics' own `export`.
    """
    import torch
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from ultralytics import YOLO

    torch.manual_seed(7)
    model = YOLO(f"{name}.yaml", task="detect")
    model.model.eval()
    _spread(model.model)
    model.model.pt_path = str(folder / f"{name}.pt")
    settings = {"imgsz": SIZE, "simplify": False, "device": "cpu"} | options
    path = Path(model.export(format="onnx", **settings))
    if half:
        onnx.save(convert_float_to_float16(onnx.load(path), keep_io_types=False), path)
    return path


def _spread(network: "Module") -> None:
    """Give the last layers of the head weights whose outputs vary over a picture."""
    import torch

    head, picture = network.model[-1], a_texture(SIZE, SIZE, seed=1)
    branches = [(head.cv2, _SIDE_MEAN, _SIDE_SPREAD), (head.cv3, _LOGIT_MEAN, _LOGIT_SPREAD)]
    if hasattr(head, "one2one_cv2"):
        branches += [
            (head.one2one_cv2, _SIDE_MEAN, _SIDE_SPREAD),
            (head.one2one_cv3, _LOGIT_MEAN, _LOGIT_SPREAD),
        ]
    tensor = torch.from_numpy(picture.transpose(2, 0, 1)[None] / np.float32(255))
    for branch, mean, spread in branches:
        for level in branch:
            _spread_layer(network, level[-1], tensor, mean, spread)


def _spread_layer(network: "Module", layer: "Module", tensor: "Tensor", mean: float, spread: float) -> None:
    import torch

    seen: list[Tensor] = []
    hook = layer.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    with torch.no_grad():
        layer.weight.normal_()
        layer.bias.zero_()
        network(tensor)
        hook.remove()
        values = seen[0].flatten(2)[0]
        gain = spread / values.std(dim=1)
        layer.weight.mul_(gain[:, None, None, None])
        layer.bias.copy_(mean - gain * values.mean(dim=1))
