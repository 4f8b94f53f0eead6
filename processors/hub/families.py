"""The architectures of Hugging Face that we run and export, by the `model_type` of their configuration.

A family knows what `transformers` calls the model, how to call it, and what there is to know of its pictures
and outputs, in the words of metadata that an ONNX file carries. So a stage reads the same whether it runs the
folder on torch or the file that was exported from it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from framefuse.errors import ModelUnusable
from processors.hub.folder import HubFolder


@dataclass(frozen=True, slots=True)
class Family:
    """One architecture."""

    model_type: str
    """As in `config.json`."""
    model_class: str
    """Its class in `transformers`."""
    outputs: tuple[str, ...]
    """Names of what `network` gives, the one that matters most first."""
    describe: Callable[[HubFolder], Mapping[str, str]]
    """The metadata of this model; `imgsz` is "[height, width]". Raises ModelUnusable for what is not ours."""
    network: Callable[[Any], Any]
    """Makes of the loaded model a torch module that takes pictures (N×3×h×w) and gives a tuple in the order
    of `outputs`, for any height and width also when exported."""
    free_sides: int | None
    """Height and width are free, in multiples of this; None: always those of `imgsz`."""
    unused_weights: tuple[str, ...] = ()
    """Ends of names of weights that may be missing, as they are for training only."""
    exported: bool = True
    """Whether it can be written as an ONNX file."""


def families() -> Mapping[str, Family]:
    """All of them by `model_type`."""
    from processors.hub import depth_anything, detectors

    known = (depth_anything.FAMILY, *detectors.families())
    return {family.model_type: family for family in known}


def family_of(folder: HubFolder) -> Family:
    """The family of a folder.

    Raises:
        ModelUnusable: it is none of ours.
    """
    known = families()
    if folder.model_type not in known:
        raise ModelUnusable(
            f"{folder.name} is a {folder.model_type or 'model without a model_type'}: "
            f"expected one of {', '.join(sorted(known))}"
        )
    return known[folder.model_type]
