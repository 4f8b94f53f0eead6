"""Which head a model file has: what the user said, else its metadata, else the only one its shapes allow.

Never guesses: a file that two heads could read, or none, is refused with what to say.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from framefuse.errors import ModelUnusable
from processors.detection.heads.end_to_end import END_TO_END
from processors.detection.heads.head import Head, HeadName, Shape
from processors.detection.heads.yolov5 import YOLOV5
from processors.detection.heads.yolov8 import YOLOV8

HEADS = (YOLOV8, YOLOV5, END_TO_END)

_GRIDS = ((8, 16, 32), (8, 16, 32, 64), (4, 8, 16, 32), (16, 32))
"""Strides of the grids that boxes come from: usual, P6, P2 and tiny models."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a file says about its output."""

    name: str
    """Of the file."""
    shapes: Sequence[Shape]
    """Of the outputs for one picture."""
    canvas: tuple[int, int]
    """Width and height of that picture."""
    classes: int | None
    """Names in the metadata; None where it has none."""
    end_to_end: bool | None
    """Whether the metadata says that the model suppresses by itself; None where it does not say."""

    @property
    def found(self) -> str:
        """The shapes, as a message spells them."""
        shapes = " and ".join("×".join(map(str, shape)) for shape in self.shapes)
        names = "" if self.classes is None else f" and {self.classes} classes in its metadata 'names'"
        said = "" if not self.end_to_end else ", end to end"
        return f"{shapes} for one picture{names}{said}"


def choose_head(seen: Evidence, asked: HeadName | None = None) -> Head:
    """The one head that fits.

    Raises:
        ModelUnusable: none fits, or more than one.
    """
    if asked is not None:
        head = next(head for head in HEADS if head.name == asked)
        if _fits(head, seen):
            return head
        raise ModelUnusable(f"{seen.name} gives {seen.found}: --head {head.name} expects {head.gives}")
    fitting = [head for head in HEADS if _fits(head, seen) and _agrees(head, seen)]
    if not fitting:
        known = ", ".join(f"{head.gives} ({head.name})" for head in HEADS)
        raise ModelUnusable(f"{seen.name} gives {seen.found}: expected {known}")
    if len(fitting) > 1:
        fitting = [head for head in fitting if _on_grid(head, seen)]
    if len(fitting) != 1 or (len(seen.shapes) > 1 and seen.classes is None):
        names = " or ".join(f"--head {head.name}" for head in HEADS if _fits(head, seen))
        raise ModelUnusable(
            f"{seen.name} gives {seen.found}, and its metadata does not tell what that is: say {names}"
        )
    return fitting[0]


def _fits(head: Head, seen: Evidence) -> bool:
    layout = head.layout(seen.shapes[0])
    return layout is not None and (None in (layout.classes, seen.classes) or layout.classes == seen.classes)


def _agrees(head: Head, seen: Evidence) -> bool:
    return seen.end_to_end is None or seen.end_to_end is not head.overlapping


def _on_grid(head: Head, seen: Evidence) -> bool:
    """Whether the rows are those of this head; of the one without a grid, whether they are of no other."""
    if head.boxes_per_cell is None:
        return not any(_on_grid(other, seen) for other in HEADS if other is not head and _fits(other, seen))
    layout, (width, height) = head.layout(seen.shapes[0]), seen.canvas
    rows = {
        head.boxes_per_cell * sum(ceil(width / stride) * ceil(height / stride) for stride in strides)
        for strides in _GRIDS
    }
    return layout is not None and layout.rows in rows
