"""A picture for models of random weights, and weights with which they see something in it."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

SIZE = 320
_SCORE_HEADS = ("score_head", "class_embed", "class_labels_classifier")
_BOX_HEADS = ("bbox_embed", "bbox_head", "bbox_predictor")


def a_texture(width: int, height: int, seed: int) -> npt.NDArray[np.uint8]:
    """Blobs of all sizes and colours, H×W×3."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((height, width, 3), np.float32)
    for cells in (3, 9, 27):
        noise = rng.uniform(0, 255 / 3, (cells, cells, 3)).astype(np.float32)
        picture += cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    return picture.clip(0, 255).astype(np.uint8)


def as_input(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """1×3×H×W, 0 to 1."""
    return (picture.transpose(2, 0, 1)[None] / 255).astype(np.float32)


def see(network: "Module", look: "Callable[[Tensor], object]") -> None:
    """Scale each layer, on one picture, to spread what it says.

    Weights as they are drawn give every place of a picture the same answer, and then the last digit decides
    which boxes a DETR shows.
    """
    import torch

    with torch.no_grad():
        hooks = _scalings(network)
        look(torch.from_numpy(as_input(a_texture(SIZE, SIZE, seed=1))))
    for hook in hooks:
        hook.remove()


def _scalings(model: "Module") -> Sequence[Any]:
    """Hooks that scale each layer when the picture passes it for the first time."""
    from torch import nn

    hooks = []
    for name, layer in model.named_modules():
        if hasattr(layer, "running_var"):
            hooks.append(layer.register_forward_pre_hook(_centred))
        elif isinstance(layer, nn.Linear) and any(part in name for part in _SCORE_HEADS):
            hooks.append(layer.register_forward_hook(_spread(-2.0, 1.5)))
        elif isinstance(layer, nn.Linear) and any(part in name for part in _BOX_HEADS):
            hooks.append(layer.register_forward_hook(_spread(0.0, 0.4)))
    return hooks


def _centred(layer: "Module", inputs: "tuple[Tensor, ...]") -> None:
    seen = inputs[0].transpose(0, 1).flatten(1)
    layer.running_mean.copy_(seen.mean(dim=1))
    layer.running_var.copy_(seen.var(dim=1).clamp(min=1e-6))


def _spread(mean: float, spread: float) -> "Callable[[Module, tuple[Tensor, ...], Tensor], Tensor]":
    def scale(layer: "Module", inputs: "tuple[Tensor, ...]", _output: "Tensor") -> "Tensor":
        layer.weight.normal_()
        values = inputs[0] @ layer.weight.T
        gain = spread / values.flatten(0, -2).std(dim=0).clamp(min=1e-6)
        layer.weight.mul_(gain[:, None])
        layer.bias.copy_(mean - gain * values.flatten(0, -2).mean(dim=0))
        return inputs[0] @ layer.weight.T + layer.bias

    return scale
