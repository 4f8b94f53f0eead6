"""What the detection stage can be told, and what follows for one model."""

import logging
import re
from typing import ClassVar

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from framefuse.errors import ModelUnusable
from processors.detection.fitting import Colour, Fitting, Resize
from processors.detection.heads.head import Head, HeadName
from processors.detection.metadata import Metadata
from processors.hub.opening import Runtime
from processors.onnx import OnnxSettings

log = logging.getLogger("framefuse.detection")

_NUMBER = r"\s*-?[0-9]+(\.[0-9]+)?\s*"
_COLOUR = re.compile(f"{_NUMBER},{_NUMBER},{_NUMBER}")
_EXPORTED_CONFIDENCE = 0.25
"""Of a suppression that Ultralytics exports, unless it is told another; no file says which."""


class DetectionSettings(OnnxSettings):
    """Of the detection stage."""

    section: ClassVar[str | None] = "detection"
    runtime: Runtime | None = Field(
        None, description="onnx or torch; without it, what the files at the model's address are for."
    )
    confidence: float | None = Field(
        None, ge=0, le=1, description="Lowest score that counts; without it the model's own, else 0.25."
    )
    iou: float | None = Field(
        None, ge=0, le=1, description="Overlap above which the lower score goes; the model's own, else 0.7."
    )
    iou_any_label: float | None = Field(
        None, ge=0, le=1, description="The same for boxes of different classes; the model's own, else never."
    )
    classes: str | None = Field(
        None, description="What counts, by label or number, as person,car; without it, all classes."
    )
    max_det: int = Field(300, ge=1, le=2000, description="Most objects in one frame.")
    head: HeadName | None = Field(None, description="Layout of the outputs, for a file that does not tell.")
    resize: Resize | None = Field(
        None, description="How pictures come to the model's size, for a file that does not tell."
    )
    mean: str | None = Field(
        None,
        description="Subtracted from red, green and blue (0 to 1), as 0.485,0.456,0.406; 0,0,0 for nothing.",
    )
    std: str | None = Field(None, description="They are divided by this then; 1,1,1 for nothing.")

    @field_validator("mean", "std")
    @classmethod
    def _three_numbers(cls, text: str | None) -> str | None:
        """A pattern of the field would be told to the user as it is, a regular expression."""
        if text is not None and _COLOUR.fullmatch(text) is None:
            raise PydanticCustomError("colour", "expected three numbers, such as 0.485,0.456,0.406")
        return text

    @field_validator("classes", mode="before")
    @classmethod
    def _as_words(cls, classes: object) -> object:
        """A number or a list, as framefuse.yaml may have it, in the words of the flag."""
        if isinstance(classes, list):
            return ",".join(map(str, classes))
        return str(classes) if isinstance(classes, int) else classes


def choose_fitting(asked: DetectionSettings, name: str, head: Head, said: Fitting | None) -> Fitting:
    """How pictures are fitted: as the user said, else the file, else as for every file of this head.

    Raises:
        ModelUnusable: nobody said it, and it differs from file to file.
    """
    if said is None and head.resize is not None:
        said = Fitting(head.resize)
    if said is None and None in (asked.resize, asked.mean, asked.std):
        raise ModelUnusable(
            f"{name} does not tell how its pictures are fitted, and models with head {head.name} differ in "
            f"that: say --resize {'|'.join(Resize)}, --mean and --std (0,0,0 and 1,1,1 for none), "
            "or put its preprocessor_config.json beside it"
        )
    usual = said or Fitting(Resize.LETTERBOX)
    return Fitting(
        asked.resize or usual.resize,
        usual.mean if asked.mean is None else _colour(asked.mean),
        usual.std if asked.std is None else _colour(asked.std),
        usual.edges,
    )


def warn_of_settings(asked: DetectionSettings, name: str, head: Head, said: Metadata) -> None:
    """Say which settings do nothing with this model."""
    if not head.overlapping and (asked.iou, asked.iou_any_label) != (None, None):
        log.warning("%s suppresses overlaps itself: iou does nothing here", name)
    low = asked.confidence is not None and asked.confidence < _EXPORTED_CONFIDENCE
    if low and said.exported_suppression:
        log.warning(
            "%s drops what scores below the conf it was exported with (%g unless told another): "
            "confidence %g may find no more; export it with conf=%g",
            *(name, _EXPORTED_CONFIDENCE, asked.confidence, asked.confidence),
        )


def _colour(text: str) -> Colour:
    red, green, blue = map(float, text.split(","))
    return red, green, blue
