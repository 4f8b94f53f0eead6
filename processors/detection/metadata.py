"""What a detector file says about itself, in the metadata that Ultralytics writes."""

from collections.abc import Mapping
from dataclasses import dataclass

from framefuse.errors import ModelUnusable
from processors.onnx import OnnxModel

USUAL_STRIDE = 32
_NOT_A_YOLO = "RTDETRDecoder"


@dataclass(frozen=True, slots=True)
class Metadata:
    """What the file says; None where it does not."""

    names: Mapping[int, str] | None
    """Of the classes by their numbers."""
    stride: int
    """Pixels by which the sides of a free canvas grow."""
    end_to_end: bool | None
    """Whether the model suppresses overlapping boxes itself."""
    one_picture: bool
    """One picture a run, whatever the shapes say: a suppression that was exported has a fixed batch."""

    def label(self, class_id: int) -> str:
        """Name of a class; "class 3" where it has none."""
        return (self.names or {}).get(class_id, f"class {class_id}")


def read_metadata(model: OnnxModel) -> Metadata:
    """Read `task`, `head`, `names`, `stride`, `end2end` and `args`.

    Raises:
        ModelUnusable: a value cannot be read, or says that this is no detector of boxes we know.
    """
    task, head = model.metadata.get("task", "detect"), model.metadata.get("head", "")
    if task != "detect" or head == _NOT_A_YOLO:
        raise ModelUnusable(
            f"{model.identity.name} says its task is {task}{' with head ' + head if head else ''}: "
            "expected a detector of the YOLO family, task detect"
        )
    args = model.literal("args")
    inside = isinstance(args, dict) and bool(args.get("nms"))
    native = model.literal("end2end")
    return Metadata(
        names=_names(model),
        stride=_stride(model),
        end_to_end=True if inside or native else None if native is None else False,
        one_picture=inside,
    )


def _names(model: OnnxModel) -> Mapping[int, str] | None:
    names = model.literal("names")
    if isinstance(names, list | tuple):
        names = dict(enumerate(names))
    if names is None:
        return None
    if not isinstance(names, dict) or not all(isinstance(number, int) for number in names):
        raise ModelUnusable(
            f"{model.identity.name}: metadata 'names' is {str(names)[:60]}, expected {{0: 'car', …}}"
        )
    return {number: str(name) for number, name in names.items()} or None


def _stride(model: OnnxModel) -> int:
    stride = model.number("stride")
    if stride is None:
        return USUAL_STRIDE
    if not 1 <= stride <= 1024 or stride % 1:
        raise ModelUnusable(
            f"{model.identity.name}: metadata 'stride' is {stride:g}, expected a whole number"
        )
    return int(stride)
