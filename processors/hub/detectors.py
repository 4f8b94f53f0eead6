"""Object detectors as Hugging Face has them: DETR and what came of it, by boxes and logits of queries.

What their picture processors do is written into metadata, for a stage that does the same without
`transformers`; what they do beyond that is refused.
"""

import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from framefuse.errors import ModelUnusable
from processors.hub.families import Family
from processors.hub.folder import HubFolder

_BILINEAR = 2
"""As Pillow numbers it."""
_IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
_SHORTEST, _LONGEST = 800, 1333
"""Of the pictures of DETR, where its folder does not say it."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What the detectors of one picture processor have in common."""

    processor: str
    """Its class in `transformers`, without endings."""
    normalises: bool
    """Whether it does unless it is told."""
    size: Mapping[str, int]
    """Unless it is told."""
    multiple_of: int = 1
    """Of both sides of a picture whose aspect is kept."""


_RT_DETR = Kind("RTDetrImageProcessor", normalises=False, size={"height": 640, "width": 640})
_EDGES = {"shortest_edge": _SHORTEST, "longest_edge": _LONGEST}
_DETR = Kind("DetrImageProcessor", normalises=True, size=_EDGES)
_CONDITIONAL = Kind("ConditionalDetrImageProcessor", normalises=True, size=_EDGES)
_DEFORMABLE = Kind("DeformableDetrImageProcessor", normalises=True, size=_EDGES)
_YOLOS = Kind("YolosImageProcessor", normalises=True, size=_EDGES, multiple_of=16)


def families() -> tuple[Family, ...]:
    """All of them."""
    return (
        _family("rt_detr", "RTDetrForObjectDetection", "detr", _RT_DETR),
        _family("rt_detr_v2", "RTDetrV2ForObjectDetection", "detr", _RT_DETR),
        _family("d_fine", "DFineForObjectDetection", "detr", _RT_DETR),
        _family("detr", "DetrForObjectDetection", "detr-softmax", _DETR),
        _family("table-transformer", "TableTransformerForObjectDetection", "detr-softmax", _DETR),
        _family("yolos", "YolosForObjectDetection", "detr-softmax", _YOLOS),
        _family("conditional_detr", "ConditionalDetrForObjectDetection", "detr", _CONDITIONAL, most=100),
        _family("deformable_detr", "DeformableDetrForObjectDetection", "detr", _DEFORMABLE, most=100),
    )


def network(model: Any) -> Any:  # noqa: ANN401 - torch has no types here
    """See `Family.network`."""
    whole = model.forward

    def queries(_model: Any, pixel_values: Any) -> tuple[Any, ...]:  # noqa: ANN401
        found = whole(pixel_values=pixel_values)
        return found.logits, found.pred_boxes

    model.forward = types.MethodType(queries, model)
    return model


def _family(model_type: str, model_class: str, head: str, kind: Kind, *, most: int | None = None) -> Family:
    """Of one architecture.

    Args:
        model_type: as in `config.json`.
        model_class: in `transformers`.
        head: how its logits are read, as the stage names it.
        kind: of its pictures.
        most: objects that its processor gives for one picture, where it gives fewer than there are queries.
    """
    return Family(
        model_type,
        model_class,
        outputs=("logits", "pred_boxes"),
        describe=_describe(head, kind, most),
        network=network,
        free_sides=1 if "shortest_edge" in kind.size else None,
        exported=False,
    )


def _describe(head: str, kind: Kind, most: int | None) -> Callable[[HubFolder], dict[str, str]]:
    def describe(folder: HubFolder) -> dict[str, str]:
        _check_processor(folder, kind)
        about = {"task": "detect", "head": head, "resize": "stretch-smooth", **_size(folder, kind)}
        if most is not None:
            about["max_det"] = str(most)
        return {**about, **_colours(folder, kind), **_names(folder)}

    return describe


def _check_processor(folder: HubFolder, kind: Kind) -> None:
    """Refuse what would make other pictures than we do."""
    said, short = folder.pictures, kind.processor.removesuffix("ImageProcessor")
    known = (*(f"{kind.processor}{end}" for end in ("", "Fast", "Pil")), f"{short}FeatureExtractor")
    found = said.get("image_processor_type", said.get("feature_extractor_type"))
    if found not in known:
        raise ModelUnusable(
            f"{folder.name}: preprocessor_config.json {'says ' + str(found) if said else 'is missing'}: "
            f"expected {kind.processor}"
        )
    wanted = {"do_resize": True, "do_rescale": True, "do_center_crop": False}
    for key, value in wanted.items():
        told = said.get(key)
        if told is not None and bool(told) is not value:
            raise ModelUnusable(f"{folder.name}: its picture processor has {key} {told}, expected {value}")
    if said.get("pad_size") is not None:
        raise ModelUnusable(f"{folder.name}: its picture processor has a pad_size, expected none")
    if said.get("resample", _BILINEAR) != _BILINEAR:
        raise ModelUnusable(f"{folder.name}: resample is {said['resample']}, expected {_BILINEAR} (bilinear)")
    if abs(said.get("rescale_factor", 1 / 255) - 1 / 255) > 1e-9:
        raise ModelUnusable(f"{folder.name}: rescale_factor is {said['rescale_factor']}, expected 1/255")


def _size(folder: HubFolder, kind: Kind) -> dict[str, str]:
    size = folder.pictures.get("size", kind.size)
    if isinstance(size, int):  # as it was written before there were words for it
        size = {"shortest_edge": size, "longest_edge": folder.pictures.get("max_size", _LONGEST)}
    match size:
        case {"height": int(height), "width": int(width)} if min(height, width) > 0:
            return {"imgsz": f"[{height}, {width}]"}
        case {"shortest_edge": int(shortest), "longest_edge": int(longest)} if 0 < shortest <= longest:
            edges = {"imgsz": f"[{shortest}, {shortest}]", "edges": f"[{shortest}, {longest}]"}
            return edges if kind.multiple_of == 1 else {**edges, "multiple_of": str(kind.multiple_of)}
    raise ModelUnusable(
        f"{folder.name}: size is {size}, expected a height and a width, or a shortest_edge and a longest_edge"
    )


def _colours(folder: HubFolder, kind: Kind) -> dict[str, str]:
    said = folder.pictures
    normalises = said.get("do_normalize")
    if not (kind.normalises if normalises is None else normalises):
        return {}
    found = [said.get(key, usual) for key, usual in _IMAGENET.items()]
    if not all(isinstance(three, list) and len(three) == 3 for three in found):
        raise ModelUnusable(
            f"{folder.name}: image_mean and image_std are {found}, expected three numbers each"
        )
    return {"mean": repr(found[0]), "std": repr(found[1])}


def _names(folder: HubFolder) -> dict[str, str]:
    names = folder.config.get("id2label")
    if not isinstance(names, dict) or not all(str(number).isdigit() for number in names):
        return {}
    return {"names": repr({int(number): str(name) for number, name in names.items()})}
