"""The detection stage: a frame in, its objects out."""

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import groupby
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field

from framefuse.errors import ModelFailed, Poison
from framefuse.pictures.decoding import decode_frame, measure
from framefuse.types import BatchPolicy, Prepared, Record, Stage, origin_of
from processors.detection.decode import Candidates, suppress
from processors.detection.heads.choice import Evidence, choose_head
from processors.detection.heads.head import HeadName
from processors.detection.letterbox import GREY, Placement, letterbox, place
from processors.detection.metadata import read_metadata
from processors.onnx import OnnxModel, OnnxSettings
from processors.picture_model import Tensor
from schemas.records import Box, Derived, Detections, Frame, Object, Status, Timing
from schemas.topics import DETECTIONS, FRAMES

DEMO_MODEL = "demo-detector.onnx"


log = logging.getLogger("framefuse.detection")


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
    head: HeadName | None = Field(
        None,
        description="Layout of the output, for a file that does not tell.",
    )


@dataclass(frozen=True, slots=True)
class Fitted:
    """A picture as the model takes it (1×3×h×w float32, RGB, 0 to 1), and the way back for its boxes."""

    tensor: npt.NDArray[np.float32]
    placement: Placement


class Detection:
    """Finds the objects of frames; one instance serves any number of threads."""

    def __init__(self, settings: DetectionSettings) -> None:
        """Open the model.

        Raises:
            ModelUnusable: the file is missing, not ONNX, or not a detector with exactly one head we know.
            ProviderUnavailable: the provider is not really active.
        """
        path = settings.model or Path(str(files("processors.models") / DEMO_MODEL))
        self._model = OnnxModel(path, settings.provider, threads=settings.threads)
        self._settings = settings
        self._metadata = read_metadata(self._model)
        self._head = choose_head(self._evidence(), settings.head)
        if not self._head.overlapping and (settings.iou, settings.iou_any_label) != (None, None):
            log.warning("%s suppresses overlaps itself: iou does nothing here", self._model.identity.name)
        self._confidence = _first(settings.confidence, self._model.number("confidence"), 0.25)
        self._iou = _first(settings.iou, self._model.number("iou"), 0.7)
        self._iou_any_label = _first(settings.iou_any_label, self._model.number("iou_any_label"), 1.0)

    def prepare(self, record: Record[Frame]) -> Fitted:
        """Verify, decode and letterbox a picture.

        Raises:
            UnreadableImage: the picture is not what its record says, or broken.
        """
        frame, shape = record.value, self._model.input
        _, *source = measure(frame.image)
        size, stride = (source[0], source[1]), self._metadata.stride if shape.any_size else None
        placement = place(size, (shape.width, shape.height), stride=stride)
        enough = (placement.width, placement.height) if self._settings.reduces else None
        image = decode_frame(frame, at_least=enough, max_pixels=self._settings.max_pixels)
        canvas = np.full((placement.canvas_height, placement.canvas_width, 3), GREY, np.uint8)
        letterbox(image, canvas, placement)
        tensor = np.asarray(cv2.dnn.blobFromImage(canvas, swapRB=True), np.float32)
        np.divide(tensor, 255, out=tensor)  # not times 1/255: the last digit decides between equal scores
        # Ultralytics knows only the canvas when it scales back, so a cut border may round otherwise there.
        return Fitted(tensor, place(size, placement.canvas))

    def process(self, batch: Sequence[Prepared[Frame, Fitted]]) -> Sequence[Detections | Poison]:
        """Objects of each frame, in order; ModelFailed where the model gave no finite numbers.

        Raises:
            ModelFailed: the runtime failed on this batch; one of its records may be the reason.
        """
        answers: list[Detections | Poison] = []
        for group in self._runs(batch):
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

    def _runs(self, batch: Sequence[Prepared[Frame, Fitted]]) -> Iterator[Sequence[Prepared[Frame, Fitted]]]:
        """Neighbours of one size, as many as the model takes at once."""
        step = 1 if self._metadata.one_picture else self._model.best_batch or len(batch)
        for _, neighbours in groupby(batch, key=lambda one: one.input.tensor.shape):
            group = list(neighbours)
            yield from (group[start : start + step] for start in range(0, len(group), step))

    def _answer(self, one: Prepared[Frame, Fitted], head: Tensor, inference_ms: float) -> Detections | Poison:
        began = time.perf_counter()
        found = self._head.candidates(head, self._confidence)
        if found is None:
            return ModelFailed(
                f"{self._model.identity.name} gave numbers that are not finite for this picture"
            )
        objects = self._objects(self._kept(found), one.input.placement)
        postprocess_ms = (time.perf_counter() - began) * 1e3
        return Detections(
            **origin_of(one.record).head(),
            status=Status.OK,
            objects=objects,
            model=self._model.identity,
            timing=Timing(one.queue_ms, one.preprocess_ms, inference_ms, postprocess_ms),
        )

    def _kept(self, found: Candidates) -> Candidates:
        most = self._settings.max_det
        if not self._head.overlapping:
            return found.take(slice(most))
        return suppress(found, iou=self._iou, max_det=most, iou_any_label=self._iou_any_label)

    def _evidence(self) -> Evidence:
        model, said = self._model, self._metadata
        return Evidence(
            model.identity.name,
            model.output_shapes,
            canvas=(model.input.width, model.input.height),
            classes=None if said.names is None else len(said.names),
            end_to_end=said.end_to_end,
        )

    def _objects(self, kept: Candidates, placement: Placement) -> tuple[Object, ...]:
        boxes, scores = placement.invert(kept.boxes).tolist(), kept.scores.tolist()
        return tuple(
            Object(self._metadata.label(class_id), class_id, score, Box(*box))
            for box, score, class_id in zip(boxes, scores, kept.class_ids.tolist(), strict=True)
        )


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
