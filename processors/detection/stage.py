"""The detection stage: a frame in, its objects out."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field

from framefuse.errors import ModelFailed, ModelUnusable, Poison
from framefuse.pictures.decoding import decode_frame, measure
from framefuse.types import BatchPolicy, Prepared, Record, Stage, origin_of
from processors.detection.decode import Candidates, candidates, suppress
from processors.detection.letterbox import GREY, Placement, letterbox, place
from processors.onnx import OnnxModel, OnnxSettings, Tensor
from schemas.records import Box, Derived, Detections, Frame, Object, Status, Timing
from schemas.topics import DETECTIONS, FRAMES

DEMO_MODEL = "demo-detector.onnx"


class DetectionSettings(OnnxSettings):
    """Of the detection stage."""

    section: ClassVar[str | None] = "detection"
    confidence: float | None = Field(
        None, ge=0, le=1, description="Lowest score that counts; without it the model's own, else 0.25."
    )
    iou: float | None = Field(
        None, ge=0, le=1, description="Overlap above which the lower score goes; the model's own, else 0.7."
    )
    iou_any_label: float | None = Field(
        None, ge=0, le=1, description="The same for boxes of different classes; the model's own, else never."
    )
    max_det: int = Field(300, ge=1, description="Most objects in one frame.")


@dataclass(frozen=True, slots=True)
class Fitted:
    """A picture as the model takes it (1×3×h×w float32, RGB, 0 to 1), and where it lies in the canvas."""

    tensor: npt.NDArray[np.float32]
    placement: Placement


class Detection:
    """Finds the objects of frames; one instance serves any number of threads."""

    def __init__(self, settings: DetectionSettings) -> None:
        """Open the model.

        Raises:
            ModelUnusable: the file is missing, not ONNX, or not a detector with an Ultralytics head.
            ProviderUnavailable: the provider is not really active.
        """
        path = settings.model or Path(str(files("processors.models") / DEMO_MODEL))
        self._model = OnnxModel(path, settings.provider, threads=settings.threads)
        self._labels = _labels(self._model)
        self._settings = settings
        self._confidence = _first(settings.confidence, self._model.number("confidence"), 0.25)
        self._iou = _first(settings.iou, self._model.number("iou"), 0.7)
        self._iou_any_label = _first(settings.iou_any_label, self._model.number("iou_any_label"), 1.0)

    def prepare(self, record: Record[Frame]) -> Fitted:
        """Verify, decode and letterbox a picture.

        Raises:
            UnreadableImage: the picture is not what its record says, or broken.
        """
        frame, shape = record.value, self._model.input
        _, width, height = measure(frame.image)
        placement = place((width, height), (shape.width, shape.height))
        enough = (placement.width, placement.height) if self._settings.reduced_decode else None
        image = decode_frame(frame, at_least=enough, max_pixels=self._settings.max_pixels)
        canvas = np.full((shape.height, shape.width, 3), GREY, np.uint8)
        letterbox(image, canvas, placement)
        return Fitted(np.asarray(cv2.dnn.blobFromImage(canvas, 1 / 255, swapRB=True), np.float32), placement)

    def process(self, batch: Sequence[Prepared[Frame, Fitted]]) -> Sequence[Detections | Poison]:
        """Objects of each frame, in order; ModelFailed where the model gave no finite numbers.

        Raises:
            ModelFailed: the runtime failed on this batch; one of its records may be the reason.
        """
        answers: list[Detections | Poison] = []
        step = self._model.best_batch or len(batch)
        for start in range(0, len(batch), step):
            group = batch[start : start + step]
            began = time.perf_counter()
            heads = self._model.run(np.concatenate([one.input.tensor for one in group]))
            inference_ms = (time.perf_counter() - began) * 1e3 / len(group)
            answers += [self._answer(one, head, inference_ms) for one, head in zip(group, heads, strict=True)]
        return answers

    def refused(self, origin: Derived, status: Status, reason: str) -> Detections:
        """The record that says a frame has no objects because it expired or failed."""
        return Detections(**origin.head(), status=status, reason=reason)

    def close(self) -> None:
        """Nothing to give back: the model goes with the last reference to it."""

    def _answer(self, one: Prepared[Frame, Fitted], head: Tensor, inference_ms: float) -> Detections | Poison:
        began = time.perf_counter()
        found = candidates(head, self._confidence)
        if found is None:
            return ModelFailed(
                f"{self._model.identity.name} gave numbers that are not finite for this picture"
            )
        kept = suppress(
            found, iou=self._iou, max_det=self._settings.max_det, iou_any_label=self._iou_any_label
        )
        objects = self._objects(kept, one.input.placement)
        postprocess_ms = (time.perf_counter() - began) * 1e3
        return Detections(
            **origin_of(one.record).head(),
            status=Status.OK,
            objects=objects,
            model=self._model.identity,
            timing=Timing(one.queue_ms, one.preprocess_ms, inference_ms, postprocess_ms),
        )

    def _objects(self, kept: Candidates, placement: Placement) -> tuple[Object, ...]:
        boxes, scores = placement.invert(kept.boxes).tolist(), kept.scores.tolist()
        return tuple(
            Object(self._labels[class_id], class_id, score, Box(*box))
            for box, score, class_id in zip(boxes, scores, kept.class_ids.tolist(), strict=True)
        )


def _labels(model: OnnxModel) -> tuple[str, ...]:
    """One name a class, from the metadata `names`; "class 3" where there is none."""
    shape = model.output_shape
    if len(shape) != 3 or shape[1] < 5:
        raise ModelUnusable(
            f"{model.identity.name} gives {'×'.join(map(str, shape))} for one picture: "
            "expected 1×(4+classes)×N, the head of a YOLOv8 or later, exported without NMS"
        )
    count, names = shape[1] - 4, model.literal("names")
    if isinstance(names, list | tuple):
        names = dict(enumerate(names))
    if names is None:
        names = {}
    if not isinstance(names, dict) or (names and len(names) != count):
        found = len(names) if isinstance(names, dict) else type(names).__name__
        raise ModelUnusable(
            f"{model.identity.name} has {count} classes in its output and {found} in its metadata 'names'"
        )
    return tuple(str(names.get(class_id, f"class {class_id}")) for class_id in range(count))


def _first(*values: float | None) -> float:
    return next(value for value in values if value is not None)


def _batch(settings: DetectionSettings) -> BatchPolicy:
    return BatchPolicy(settings.batch_max, settings.batch_wait_ms / 1e3)


STAGE = Stage(
    "detection",
    settings=DetectionSettings,
    sources=(FRAMES,),
    to=DETECTIONS,
    build=Detection,
    batch=_batch,
)
