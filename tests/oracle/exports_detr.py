"""DETR-style detectors of random weights that still see: small ones of transformers, and their ONNX files.

Weights as they are drawn give every place of a picture the same answer, and then the last digit decides which
boxes are shown. So each layer is scaled, on one picture, to spread what it says.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.oracle.exports import a_texture

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

SIZE = 320
CLASSES = 7
_SCORE_HEADS = ("score_head", "class_embed", "class_labels_classifier")
_BOX_HEADS = ("bbox_embed", "bbox_head", "bbox_predictor")


def an_rt_detr() -> "Module":
    """RT-DETR v2 on a small ResNet."""
    from transformers import RTDetrResNetConfig, RTDetrV2Config, RTDetrV2ForObjectDetection

    backbone = RTDetrResNetConfig(**_BACKBONE)
    return _seeing(RTDetrV2ForObjectDetection, RTDetrV2Config(backbone_config=backbone, **_SMALL))


def a_d_fine() -> "Module":
    """D-FINE on a small ResNet."""
    from transformers import DFineConfig, DFineForObjectDetection, RTDetrResNetConfig

    backbone = RTDetrResNetConfig(**_BACKBONE)
    return _seeing(DFineForObjectDetection, DFineConfig(backbone_config=backbone, **_SMALL))


_BACKBONE: dict[str, Any] = {
    "embedding_size": 16,
    "hidden_sizes": [16, 24, 32, 48],
    "depths": [1, 1, 1, 1],
    "layer_type": "basic",
    "out_features": ["stage2", "stage3", "stage4"],
}
_SMALL: dict[str, Any] = {
    "use_pretrained_backbone": False,
    "encoder_hidden_dim": 32,
    "encoder_in_channels": [24, 32, 48],
    "encoder_ffn_dim": 64,
    "d_model": 32,
    "decoder_in_channels": [32, 32, 32],
    "decoder_ffn_dim": 64,
    "decoder_layers": 2,
    "num_queries": 60,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "num_labels": CLASSES,
}


def _seeing(kind: Callable[[Any], "Module"], config: object) -> "Module":
    import torch

    torch.manual_seed(7)
    model = kind(config).eval()
    with torch.no_grad():
        hooks = list(_scalings(model))
        picture = a_texture(SIZE, SIZE, seed=1).transpose(2, 0, 1)[None] / np.float32(255)
        model(pixel_values=torch.from_numpy(picture))
    for hook in hooks:
        hook.remove()
    return model


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


def export(model: "Module", path: Path, *, names: Sequence[str] = ("logits", "pred_boxes")) -> Path:
    """Write `model` as an ONNX file with these outputs, for pictures of `SIZE`."""
    import torch

    whole = model.forward
    model.forward = lambda pixel_values: tuple(whole(pixel_values=pixel_values)[name] for name in names)
    try:
        torch.onnx.export(
            model,
            (torch.zeros(1, 3, SIZE, SIZE),),
            str(path),
            input_names=["pixel_values"],
            output_names=list(names),
            opset_version=17,
            dynamo=False,
        )
    finally:
        model.forward = whole
    return path
