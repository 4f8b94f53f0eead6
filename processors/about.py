"""What a stage makes of its open model, said for people: `framefuse models check` shows it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from processors.picture_model import PictureModel


@dataclass(frozen=True, slots=True)
class About:
    """Of one open model."""

    model: PictureModel
    family: str
    """How its outputs are read: the head of a detector, the kind of a map."""
    pictures: str
    """How they come to the model's size and colours."""
    classes: Mapping[int, str] | None = None
    """By their numbers; None where there are none, or nobody names them."""
    stride: int | None = None
    """Pixels by which the sides of an input of free size grow."""


def colours(mean: Sequence[float], std: Sequence[float]) -> str:
    """How colours are brought to what a model wants, as a part of a sentence."""
    if not any(mean) and set(std) == {1.0}:
        return "colours 0 to 1"
    return f"colours minus {_three(mean)}, by {_three(std)}"


def _three(numbers: Sequence[float]) -> str:
    return ",".join(f"{number:g}" for number in numbers)
