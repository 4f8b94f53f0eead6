"""What a detector file says about itself: in the metadata that Ultralytics writes, or in files beside it."""

from collections.abc import Mapping
from dataclasses import dataclass

from framefuse.errors import ModelUnusable
from processors.detection.beside import Beside
from processors.detection.fitting import Colour, Edges, Fitting, Resize
from processors.detection.heads.head import HeadName
from processors.picture_model import PictureModel

USUAL_STRIDE = 32


@dataclass(frozen=True, slots=True)
class Metadata:
    """What the file says; None where it does not."""

    names: Mapping[int, str] | None
    """Of the classes by their numbers."""
    stride: int
    """Pixels by which the sides of a free canvas grow."""
    end_to_end: bool | None
    """Whether the model suppresses overlapping boxes itself."""
    exported_suppression: bool
    """Whether it was exported with `nms=True`: one picture a run then, whatever the shapes say."""
    decoder: str
    """Class of the head, as new files of Ultralytics have it."""
    head: HeadName | None
    """In our own words."""
    max_det: int | None
    """Most objects that it gives for one picture."""
    fitting: Fitting | None
    """How pictures are fitted."""

    def label(self, class_id: int) -> str:
        """Name of a class; "class 3" where it has none."""
        return (self.names or {}).get(class_id, f"class {class_id}")


def read_metadata(model: PictureModel, beside: Beside) -> Metadata:
    """Read what Ultralytics writes, and what `processors.hub` does: `resize` to `multiple_of`, `max_det`.

    Raises:
        ModelUnusable: a value cannot be read, or says that this is no detector of boxes we know.
    """
    task = model.metadata.get("task", "detect")
    if task != "detect":
        raise ModelUnusable(
            f"{model.identity.name} says its task is {task}: expected a detector of boxes, task detect"
        )
    args = model.literal("args")
    inside = isinstance(args, dict) and bool(args.get("nms"))
    native = model.literal("end2end")
    head = model.metadata.get("head", "")
    ours = head in tuple(HeadName)
    return Metadata(
        names=_names(model) or beside.names,
        stride=_whole(model, "stride", 1024) or USUAL_STRIDE,
        end_to_end=True if inside or native else None if native is None else False,
        exported_suppression=inside,
        decoder="" if ours else head,
        head=HeadName(head) if ours else None,
        max_det=_whole(model, "max_det", 100_000),
        fitting=_fitting(model) or beside.fitting,
    )


def _fitting(model: PictureModel) -> Fitting | None:
    said = model.metadata.get("resize")
    if said is None:
        return None
    if said not in list(Resize):
        raise ModelUnusable(
            f"{model.identity.name}: metadata 'resize' is {said!r}, expected {', '.join(Resize)}"
        )
    plain = Fitting(Resize(said))
    mean, std = _colour(model, "mean") or plain.mean, _colour(model, "std") or plain.std
    return Fitting(plain.resize, mean, std, _edges(model))


def _edges(model: PictureModel) -> Edges | None:
    said = model.literal("edges")
    if said is None:
        return None
    match said:
        case [int(shortest), int(longest)] if 0 < shortest <= longest:
            return Edges(shortest, longest, _whole(model, "multiple_of", 1024) or 1)
    raise ModelUnusable(f"{model.identity.name}: metadata 'edges' is {said}, expected [shortest, longest]")


def _colour(model: PictureModel, key: str) -> Colour | None:
    said = model.literal(key)
    if said is None:
        return None
    if not isinstance(said, list | tuple) or len(said) != 3:
        raise ModelUnusable(
            f"{model.identity.name}: metadata {key!r} is {str(said)[:60]}, expected three numbers"
        )
    red, green, blue = map(float, said)
    return red, green, blue


def _names(model: PictureModel) -> Mapping[int, str] | None:
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


def _whole(model: PictureModel, key: str, most: int) -> int | None:
    """A number from 1 to `most`; None where there is none."""
    found = model.number(key)
    if found is None:
        return None
    if not 1 <= found <= most or found % 1:
        raise ModelUnusable(f"{model.identity.name}: metadata {key!r} is {found:g}, expected a whole number")
    return int(found)
