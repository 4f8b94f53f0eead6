"""What the outputs of a detector are made of. Knows no file and no picture."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from processors.detection.decode import Candidates
from processors.detection.fitting import Resize
from processors.picture_model import Tensor

Shape = tuple[int, ...]
"""Of an output for one picture, with the 1 in front."""


class HeadName(StrEnum):
    """What `--head` takes."""

    YOLOV5 = "yolov5"
    YOLOV8 = "yolov8"
    END_TO_END = "end-to-end"
    RTDETR = "rtdetr"
    RTDETR_SCORES = "rtdetr-scores"
    DETR = "detr"
    DETR_SOFTMAX = "detr-softmax"
    LABELS_BOXES_SCORES = "labels-boxes-scores"


@dataclass(frozen=True, slots=True)
class Output:
    """One output of a file."""

    name: str
    shape: Shape


@dataclass(frozen=True, slots=True)
class Layout:
    """The outputs of a file as one head reads them."""

    rows: int
    """Boxes the model gives for one picture."""
    classes: int | None
    """None where the outputs do not tell."""
    outputs: tuple[str, ...]
    """Names of those it reads, in the order that `Head.candidates` takes them."""
    told: bool = False
    """Whether the names of the outputs say that they are of this head."""


@dataclass(frozen=True, slots=True)
class Head:
    """One layout of the outputs, and how their numbers become candidates."""

    name: HeadName
    gives: str
    """The outputs for one picture, as a message spells them."""
    layout: Callable[[Sequence[Output]], Layout | None]
    """None where these outputs cannot be of this head."""
    candidates: Callable[[Sequence[Tensor], float], Candidates | None]
    """Candidates of one picture above a confidence; None when an output holds no finite numbers."""
    boxes_per_cell: int | None = None
    """Of the grids that lie over the canvas; None where the rows have nothing to do with them."""
    overlapping: bool = True
    """False: the model has suppressed its overlapping boxes itself."""
    fractions: bool = False
    """True: boxes are fractions of the canvas, else its pixels."""
    decoder: str | None = None
    """What the metadata `head` of a file says where it is this one, and no other."""
    resize: Resize | None = None
    """How every exporter of this head fits pictures; None where that differs, and has to be said."""
