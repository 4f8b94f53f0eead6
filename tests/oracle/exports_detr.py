"""DETR-style detectors of random weights that still see: small ones of transformers, and their ONNX files."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.oracle.seeing import SIZE, a_texture, as_input, see

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

CLASSES = 7
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
"""Of the colours of ImageNet, by which most of these normalise."""


def an_rt_detr() -> "Module":
    """RT-DETR v2 on a small ResNet."""
    from transformers import RTDetrResNetConfig, RTDetrV2Config, RTDetrV2ForObjectDetection

    backbone = RTDetrResNetConfig(**_BACKBONE)
    return _seeing(RTDetrV2ForObjectDetection, RTDetrV2Config(backbone_config=backbone, **_SMALL))


def an_rt_detr_1() -> "Module":
    """RT-DETR of before, on the same."""
    from transformers import RTDetrConfig, RTDetrForObjectDetection, RTDetrResNetConfig

    backbone = RTDetrResNetConfig(**_BACKBONE)
    return _seeing(RTDetrForObjectDetection, RTDetrConfig(backbone_config=backbone, **_SMALL))


def a_d_fine() -> "Module":
    """D-FINE on a small ResNet."""
    from transformers import DFineConfig, DFineForObjectDetection, RTDetrResNetConfig

    backbone = RTDetrResNetConfig(**_BACKBONE)
    return _seeing(DFineForObjectDetection, DFineConfig(backbone_config=backbone, **_SMALL))


def a_detr() -> "Module":
    """DETR on a small ResNet."""
    from transformers import DetrConfig, DetrForObjectDetection

    return _lively(DetrForObjectDetection, DetrConfig(backbone_config=_a_resnet(), **_QUERIES))


def a_conditional_detr() -> "Module":
    """Conditional DETR on the same."""
    from transformers import ConditionalDetrConfig, ConditionalDetrForObjectDetection

    config = ConditionalDetrConfig(backbone_config=_a_resnet(), **_QUERIES)
    return _lively(ConditionalDetrForObjectDetection, config)


def a_deformable_detr() -> "Module":
    """Deformable DETR on the same, at four levels."""
    from transformers import DeformableDetrConfig, DeformableDetrForObjectDetection

    config = DeformableDetrConfig(backbone_config=_a_resnet("stage2", "stage3", "stage4"), **_QUERIES)
    return _lively(DeformableDetrForObjectDetection, config)


def a_yolos() -> "Module":
    """YOLOS, small."""
    from transformers import YolosConfig, YolosForObjectDetection

    return _lively(
        YolosForObjectDetection,
        YolosConfig(
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=64,
            image_size=[SIZE, SIZE],
            num_detection_tokens=60,
            use_mid_position_embeddings=False,
            num_labels=CLASSES,
        ),
    )


def _a_resnet(*stages: str) -> Any:  # noqa: ANN401 - transformers has no types here
    from transformers import ResNetConfig

    return ResNetConfig(
        embedding_size=16,
        hidden_sizes=[16, 24, 32, 48],
        depths=[1, 1, 1, 1],
        layer_type="basic",
        out_features=list(stages or ("stage4",)),
    )


_QUERIES: dict[str, Any] = {
    "use_timm_backbone": False,
    "use_pretrained_backbone": False,
    "d_model": 32,
    "encoder_layers": 1,
    "decoder_layers": 2,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "num_queries": 60,
    "num_labels": CLASSES,
}
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
    see(model, lambda tensor: model(pixel_values=tensor))
    return model


def _lively(kind: Callable[[Any], "Module"], config: object) -> "Module":
    """The same, of weights with which queries differ from each other.

    As they are drawn, these models start from zeros, and all their queries say the same.
    """
    import torch
    from torch import nn

    torch.manual_seed(7)
    model = kind(config).eval()
    with torch.no_grad():
        for name, values in model.named_parameters():
            if values.dim() == 2 and "backbone" not in name:
                values.normal_(std=values.shape[1] ** -0.5)
            elif "tokens" in name or "position_embeddings" in name:
                values.normal_()
        for layer in model.modules():
            if isinstance(layer, nn.Embedding):
                layer.weight.normal_()
    mean, std = (torch.tensor(colour)[:, None, None] for colour in (MEAN, STD))
    pictures = torch.cat([torch.from_numpy(as_input(a_texture(SIZE, SIZE, seed))) for seed in range(6)])
    see(model, lambda _: model(pixel_values=(pictures - mean) / std))
    return model


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


def export_with_boxes(model: "Module", path: Path) -> Path:
    """Write `model` as the repositories of RT-DETR and D-FINE do: with the last steps inside."""
    import torch

    whole = model.forward

    def best(pixel_values: "Tensor", sizes: "Tensor") -> "tuple[Tensor, Tensor, Tensor]":
        found = whole(pixel_values=pixel_values)
        scores, places = found.logits.sigmoid().flatten(1).topk(found.logits.shape[1], dim=-1)
        rows = (places // CLASSES)[..., None].expand(-1, -1, 4)
        centre, side = found.pred_boxes.split(2, dim=-1)
        corners = torch.cat([centre - side / 2, centre + side / 2], dim=-1) * sizes.repeat(1, 2)[:, None]
        return places % CLASSES, corners.gather(1, rows), scores

    model.forward = best
    try:
        torch.onnx.export(
            model,
            (torch.zeros(1, 3, SIZE, SIZE), torch.tensor([[SIZE, SIZE]])),
            str(path),
            input_names=["images", "orig_target_sizes"],
            output_names=["labels", "boxes", "scores"],
            dynamic_axes={name: {0: "N"} for name in ("images", "orig_target_sizes")},
            opset_version=17,
            dynamo=False,
        )
    finally:
        model.forward = whole
    return path
