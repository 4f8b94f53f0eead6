"""What the output of a detector is made of. Knows no file and no picture."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from processors.detection.decode import Candidates
from processors.onnx import Tensor

Shape = tuple[int, ...]
"""Of the output for one picture, with the 1 in front."""


class HeadName(StrEnum):
    """What `--head` takes."""

    YOLOV5 = "yolov5"
    YOLOV8 = "yolov8"
    END_TO_END = "end-to-end"


@dataclass(frozen=True, slots=True)
class Layout:
    """An output shape as one head reads it."""

    rows: int
    """Boxes the model gives for one picture."""
    classes: int | None
    """None where the output does not tell."""


@dataclass(frozen=True, slots=True)
class Head:
    """One layout of an output, and how its numbers become candidates."""

    name: HeadName
    gives: str
    """The output for one picture, as a message spells it."""
    layout: Callable[[Shape], Layout | None]
    """None where an output of this shape cannot be of this head."""
    boxes_per_cell: int | None
    """Of the grids that lie over the canvas; None where the rows have nothing to do with them."""
    candidates: Callable[[Tensor, float], Candidates | None]
    """Candidates of one picture above a confidence; None when the output holds no finite numbers."""
    overlapping: bool = True
    """False: the model has suppressed its overlapping boxes itself."""
