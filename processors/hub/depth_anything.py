"""Depth Anything V1 and V2, relative and metric, as Hugging Face has them.

What its picture processor (`DPTImageProcessor`) does is written into metadata, for a stage that does the same
without `transformers`; what it does beyond that is refused.
"""

import types
from typing import Any

from framefuse.errors import ModelUnusable
from processors.hub.families import Family
from processors.hub.folder import HubFolder

_PROCESSORS = ("DPTImageProcessor", "DPTImageProcessorFast", "DPTImageProcessorPil", "DPTFeatureExtractor")
_RESAMPLES = {2: "bilinear", 3: "bicubic"}
"""As Pillow numbers them."""
_BACKBONES = ("dinov2", "dinov2_with_registers")


def describe(folder: HubFolder) -> dict[str, str]:
    """See `Family.describe`.

    Raises:
        ModelUnusable: the depth is neither relative nor metric, or pictures are made in a way we do not know.
    """
    config, pictures = folder.config, folder.pictures
    backbone = (config.get("backbone_config") or {}).get("model_type", "dinov2")
    if backbone not in _BACKBONES:
        raise ModelUnusable(
            f"{folder.name} stands on a backbone {backbone}: expected {' or '.join(_BACKBONES)}"
        )
    _check_processor(folder)
    height, width = _size(folder)
    return {
        "task": "depth",
        **_meaning(folder),
        "imgsz": f"[{height}, {width}]",
        "keep_aspect": str(bool(pictures.get("keep_aspect_ratio", False))).lower(),
        "multiple_of": str(pictures.get("ensure_multiple_of", 1)),
        "resample": _RESAMPLES[pictures.get("resample", 3)],
        **_normalisation(folder),
    }


def network(model: Any) -> Any:  # noqa: ANN401 - torch has no types here
    """See `Family.network`.

    The head of `transformers` sizes its map by `int(rows * patch)`, which an exporter makes a constant: the
    file then answers pictures of any size with a map of one size, wrongly. The same without `int` does not.
    """
    from torch.nn import functional

    whole = model.forward

    def maps(_model: Any, pixel_values: Any) -> tuple[Any, ...]:  # noqa: ANN401
        return (whole(pixel_values).predicted_depth,)

    def sized(head: Any, states: list[Any], rows: Any, columns: Any) -> Any:  # noqa: ANN401
        size = (rows * head.patch_size, columns * head.patch_size)
        features = head.conv1(states[head.head_in_index])
        features = functional.interpolate(features, size=size, mode="bilinear", align_corners=True)
        features = head.activation1(head.conv2(features))
        return (head.activation2(head.conv3(features)) * head.max_depth).squeeze(dim=1)

    model.forward = types.MethodType(maps, model)
    model.head.forward = types.MethodType(sized, model.head)
    return model


def _meaning(folder: HubFolder) -> dict[str, str]:
    kind, max_depth = folder.config.get("depth_estimation_type", "relative"), folder.config.get("max_depth")
    if kind == "relative":
        return {"kind": "RELATIVE_INVERSE"}
    if kind != "metric" or not isinstance(max_depth, int | float) or max_depth <= 1:
        raise ModelUnusable(
            f"{folder.name}: its config says depth_estimation_type {kind} and max_depth {max_depth}: "
            "expected relative, or metric with a max_depth in metres"
        )
    return {"kind": "METRIC", "unit": "m", "far": repr(max_depth)}


def _check_processor(folder: HubFolder) -> None:
    """Refuse what would make other pictures than we do."""
    said = folder.pictures
    kind = said.get("image_processor_type", said.get("feature_extractor_type"))
    if kind not in _PROCESSORS:
        raise ModelUnusable(
            f"{folder.name}: preprocessor_config.json {'says ' + str(kind) if said else 'is missing'}: "
            "expected DPTImageProcessor"
        )
    wanted = {"do_resize": True, "do_rescale": True, "do_pad": False, "do_center_crop": False}
    for key, value in wanted.items():
        found = said.get(key)
        if found is not None and bool(found) is not value:
            raise ModelUnusable(f"{folder.name}: its picture processor has {key} {found}, expected {value}")
    if said.get("resample", 3) not in _RESAMPLES:
        raise ModelUnusable(f"{folder.name}: resample is {said['resample']}, expected 3 (bicubic) or 2")
    if abs(said.get("rescale_factor", 1 / 255) - 1 / 255) > 1e-9:
        raise ModelUnusable(f"{folder.name}: rescale_factor is {said['rescale_factor']}, expected 1/255")


def _size(folder: HubFolder) -> tuple[int, int]:
    size = folder.pictures.get("size", {"height": 384, "width": 384})
    if isinstance(size, int):
        return size, size
    try:
        return int(size["height"]), int(size["width"])
    except (KeyError, TypeError, ValueError):
        raise ModelUnusable(f"{folder.name}: size is {size}, expected a height and a width") from None


def _normalisation(folder: HubFolder) -> dict[str, str]:
    said = folder.pictures
    if not said.get("do_normalize", True):
        return {"mean": "[0.0, 0.0, 0.0]", "std": "[1.0, 1.0, 1.0]"}
    found = [said.get("image_mean", [0.5] * 3), said.get("image_std", [0.5] * 3)]
    if not all(isinstance(three, list) and len(three) == 3 for three in found):
        raise ModelUnusable(
            f"{folder.name}: image_mean and image_std are {found}, expected three numbers each"
        )
    return {"mean": repr(found[0]), "std": repr(found[1])}


FAMILY = Family(
    "depth_anything",
    "DepthAnythingForDepthEstimation",
    outputs=("predicted_depth",),
    describe=describe,
    network=network,
    free_sides=14,
    unused_weights=("mask_token",),
)
