"""Which head a model file has: what the user said, else its metadata, else the only one its shapes allow.

Never guesses: a file that two heads could read, or none, is refused with what to say.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from framefuse.errors import ModelUnusable
from processors.detection.heads.detr import DETR, DETR_SOFTMAX, LABELS_BOXES_SCORES
from processors.detection.heads.end_to_end import END_TO_END
from processors.detection.heads.head import Head, HeadName, Layout, Output
from processors.detection.heads.rtdetr import RTDETR, RTDETR_SCORES
from processors.detection.heads.yolov5 import YOLOV5
from processors.detection.heads.yolov8 import YOLOV8

HEADS = (YOLOV8, YOLOV5, END_TO_END, RTDETR, RTDETR_SCORES, DETR, DETR_SOFTMAX, LABELS_BOXES_SCORES)

_GRIDS = ((8, 16, 32), (8, 16, 32, 64), (4, 8, 16, 32), (16, 32))
"""Strides of the grids that boxes come from: usual, P6, P2 and tiny models."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a file says about its outputs."""

    name: str
    """Of the file."""
    outputs: Sequence[Output]
    """Their shapes for one picture."""
    canvas: tuple[int, int]
    """Width and height of that picture."""
    classes: int | None
    """Names in the metadata; None where it has none."""
    end_to_end: bool | None
    """Whether the metadata says that the model suppresses by itself; None where it does not say."""
    decoder: str = ""
    """The metadata `head`, as new files of Ultralytics have it."""

    @property
    def found(self) -> str:
        """The shapes, as a message spells them."""
        shapes = " and ".join("×".join(map(str, output.shape)) for output in self.outputs)
        names = "" if self.classes is None else f" and {self.classes} classes in its metadata 'names'"
        said = "" if not self.end_to_end else ", end to end"
        head = f", head {self.decoder}" if self.decoder else ""
        return f"{shapes} for one picture{names}{said}{head}"


@dataclass(frozen=True, slots=True)
class Choice:
    """A head, and the outputs of the file that it reads."""

    head: Head
    outputs: tuple[str, ...]
    rows: int
    """Boxes the model gives for one picture, and so the most objects, where nothing says another number."""
    classes: int | None
    """None where the outputs do not tell."""


def choose_head(seen: Evidence, asked: HeadName | None = None) -> Choice:
    """The one head that fits.

    Raises:
        ModelUnusable: none fits, or more than one.
    """
    if asked is not None:
        head = next(head for head in HEADS if head.name == asked)
        layout = _fit(head, seen)
        if layout is not None:
            return Choice(head, layout.outputs, layout.rows, layout.classes)
        raise ModelUnusable(f"{seen.name} gives {seen.found}: --head {head.name} expects {head.gives}")
    if _has_no_classes(seen):
        raise ModelUnusable(
            f"{seen.name} gives {seen.found}: the boxes of a YOLO without a class; export it with a class "
            f"at least, or, if it is something else, say --head {'|'.join(head.name for head in HEADS)}"
        )
    fitting = {head: layout for head in HEADS if (layout := _fit(head, seen)) and _agrees(head, layout, seen)}
    if any(layout.told for layout in fitting.values()):
        fitting = {head: layout for head, layout in fitting.items() if layout.told}
    if not fitting:
        known = ", ".join(f"{head.gives} ({head.name})" for head in HEADS)
        raise ModelUnusable(f"{seen.name} gives {seen.found}: expected {known}")
    if len(fitting) > 1:
        on_grid = {head: layout for head, layout in fitting.items() if _on_grid(head, layout, seen)}
        fitting = on_grid or fitting
    ((head, layout), *others) = fitting.items()
    unread = len(seen.outputs) > len(layout.outputs) and not layout.told and seen.classes is None
    if others or unread:
        names = " or ".join(f"--head {head.name}" for head in fitting)
        raise ModelUnusable(
            f"{seen.name} gives {seen.found}, and its metadata does not tell what that is: say {names}"
        )
    return Choice(head, layout.outputs, layout.rows, layout.classes)


def _fit(head: Head, seen: Evidence) -> Layout | None:
    """How the head reads the outputs, if it can at all."""
    layout = head.layout(seen.outputs)
    if layout is None or (None not in (layout.classes, seen.classes) and layout.classes != seen.classes):
        return None
    return layout


def _has_no_classes(seen: Evidence) -> bool:
    """Whether these are a box for each cell and no score, which by its shape alone could be another head."""
    shape = seen.outputs[0].shape
    return seen.classes is None and len(shape) == 3 and shape[1] == 4 and _is_grid(shape[2], 1, seen)


def _agrees(head: Head, layout: Layout, seen: Evidence) -> bool:
    """Whether the metadata, as far as it goes, says nothing against this head."""
    if head.decoder is not None:
        return seen.decoder == head.decoder or _of_before(head, layout, seen)
    if seen.decoder in _DECODERS:
        return False
    return layout.told or seen.end_to_end is None or seen.end_to_end is not head.overlapping


def _of_before(head: Head, layout: Layout, seen: Evidence) -> bool:
    """Whether this may be a file of Ultralytics from before it wrote down its heads."""
    said = seen.decoder or seen.end_to_end is not None or seen.classes is None
    return not said and layout.classes == seen.classes and not _is_grid(layout.rows, 1, seen)


_DECODERS = frozenset(head.decoder for head in HEADS if head.decoder is not None)


def _on_grid(head: Head, layout: Layout, seen: Evidence) -> bool:
    """Whether the rows are those of this head; of one without a grid, whether they are of no other."""
    if head.boxes_per_cell is not None:
        return _is_grid(layout.rows, head.boxes_per_cell, seen)
    others = ((other, _fit(other, seen)) for other in HEADS if other.boxes_per_cell is not None)
    return not any(found is not None and _on_grid(other, found, seen) for other, found in others)


def _is_grid(rows: int, boxes_per_cell: int, seen: Evidence) -> bool:
    width, height = seen.canvas
    return rows in {
        boxes_per_cell * sum(ceil(width / stride) * ceil(height / stride) for stride in strides)
        for strides in _GRIDS
    }
