"""What the user says of a depth model whose file does not say it; what a file says is never overruled."""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from framefuse.errors import ModelUnusable
from processors.depth.meaning import METRIC_STEP
from processors.picture_model import PictureModel
from schemas.records import DepthKind

_IMAGENET = {"mean": "[0.485, 0.456, 0.406]", "std": "[0.229, 0.224, 0.225]"}


class InputPreset(StrEnum):
    """How pictures become the input of a model."""

    PLAIN = "plain"
    """Stretched to the model's size, 0 to 1."""
    IMAGENET = "imagenet"
    """Stretched, with the mean and deviation of ImageNet."""
    DEPTH_ANYTHING = "depth-anything"
    """Those too; bicubic, and where the file takes any size, aspect kept and sides multiples of 14."""


_PRESETS: Mapping[InputPreset, Mapping[str, str]] = {
    InputPreset.PLAIN: {"mean": "[0.0, 0.0, 0.0]", "std": "[1.0, 1.0, 1.0]"},
    InputPreset.IMAGENET: {**_IMAGENET, "resample": "bilinear"},
    InputPreset.DEPTH_ANYTHING: {
        **_IMAGENET,
        "resample": "bicubic",
        "keep_aspect": "true",
        "multiple_of": "14",
    },
}

_OF_INPUT = {"mean", "std", "resample", "keep_aspect", "multiple_of"}


class Told(NamedTuple):
    """Of the settings; None where nothing was said."""

    kind: DepthKind | None = None
    unit: str | None = None
    input: InputPreset | None = None


def told(model: PictureModel, said: Told) -> Mapping[str, str]:
    """The metadata of a model, with what the user says where it says nothing.

    Raises:
        ModelUnusable: the file does not say what it gives or how its pictures are made, and neither does the
            user; or they disagree; or the kind has no such unit.
    """
    name, metadata = model.identity.name, dict(model.metadata)
    given = {"kind": said.kind, "unit": said.unit}
    for key, value in given.items():
        if value is not None and metadata.get(key, value) != value:
            raise ModelUnusable(
                f"{name}: its metadata says {key} {metadata[key]}, the setting {value}: leave out --map-{key}"
            )
    if said.input is not None and not _OF_INPUT.isdisjoint(metadata):
        raise ModelUnusable(f"{name}: its metadata says how pictures are made: leave out --input")
    if "kind" not in metadata and (said.kind is None or said.input is None):
        raise ModelUnusable(
            f"{name}: metadata 'kind' is nothing, expected {' or '.join(DepthKind)}; for a file that does "
            f"not say it add --map-kind, --map-unit (of METRIC) and --input {'|'.join(InputPreset)}"
        )
    _verify_unit(name, metadata, said)
    pictures = _PRESETS[said.input] if said.input is not None else {}
    return {**metadata, **pictures, **{key: str(one) for key, one in given.items() if one}}


def _verify_unit(name: str, metadata: Mapping[str, str], said: Told) -> None:
    """Refuse a unit that does not go with its kind, where one of them is the user's; in the user's words."""
    kind, units = said.kind or metadata.get("kind"), " or ".join(METRIC_STEP)
    unit = said.unit or metadata.get("unit")
    if kind == DepthKind.METRIC and not unit:
        found = f"--map-kind {kind} was said" if said.kind else f"its metadata says kind {kind}"
        raise ModelUnusable(f"{name}: {found} and no unit; a METRIC map has a unit: add --map-unit {units}")
    if kind == DepthKind.METRIC and said.unit and said.unit not in METRIC_STEP:
        raise ModelUnusable(
            f"{name}: --map-unit {said.unit} was said, expected {units}; "
            "for numbers in another unit put 'scale', metres of one, in the file's metadata"
        )
    if kind == DepthKind.RELATIVE_INVERSE and said.unit:
        raise ModelUnusable(f"{name}: {kind} has no unit: leave out --map-unit")
    if said.kind is DepthKind.RELATIVE_INVERSE and unit:
        raise ModelUnusable(
            f"{name}: its metadata says unit {unit}, and --map-kind {kind} was said, which has none"
        )
