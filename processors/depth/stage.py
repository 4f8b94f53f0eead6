"""The depth stage: a frame in, its depth map out."""

import time
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field

from framefuse.errors import ModelFailed, Poison
from framefuse.pictures.decoding import decode_frame, encode_map, stats_of
from framefuse.types import BatchPolicy, Prepared, Record, Stage, origin_of
from processors.depth.meaning import Meaning, meaning_of, values_of
from processors.onnx import OnnxModel, OnnxSettings
from processors.picture_model import Tensor
from schemas.records import Depth, Derived, Frame, Status, Timing
from schemas.topics import DEPTH, FRAMES

DEMO_MODEL = "demo-depth.onnx"

Fitted = npt.NDArray[np.float32]
"""A picture as the model takes it: 1×3×h×w, RGB, 0 to 1, stretched to the model's size."""


class DepthSettings(OnnxSettings):
    """Of the depth stage."""

    section: ClassVar[str | None] = "depth"
    png_level: int = Field(1, ge=0, le=9, description="Compression of the map; above 1 is slow for nothing.")


class DepthEstimation:
    """Estimates the depth of frames; one instance serves any number of threads.

    The picture is stretched to the model's size, so the map covers exactly the picture and any point of one
    is the same fraction of the other; it stays at the model's resolution.
    """

    def __init__(self, settings: DepthSettings) -> None:
        """Open the model.

        Raises:
            ModelUnusable: the file is missing, not ONNX, or not a depth model with its meaning in metadata.
            ProviderUnavailable: the provider is not really active.
        """
        path = settings.model or Path(str(files("processors.models") / DEMO_MODEL))
        self._model = OnnxModel(path, settings.provider, threads=settings.threads)
        self._meaning: Meaning = meaning_of(self._model)
        self._settings = settings

    def prepare(self, record: Record[Frame]) -> Fitted:
        """Verify, decode and stretch a picture.

        Raises:
            UnreadableImage: the picture is not what its record says, or broken.
        """
        size = (self._model.input.width, self._model.input.height)
        enough = size if self._settings.reduces else None
        image = decode_frame(record.value, at_least=enough, max_pixels=self._settings.max_pixels)
        if image.shape[1::-1] != size:
            halves = image.shape[1] >= 2 * size[0] and image.shape[0] >= 2 * size[1]
            how = cv2.INTER_AREA if halves else cv2.INTER_LINEAR
            image = cv2.resize(image, size, interpolation=how).astype(np.uint8, copy=False)
        return np.asarray(cv2.dnn.blobFromImage(image, 1 / 255, swapRB=True), np.float32)

    def process(self, batch: Sequence[Prepared[Frame, Fitted]]) -> Sequence[Depth | Poison]:
        """The depth map of each frame, in order; ModelFailed where the model gave no numbers.

        Raises:
            ModelFailed: the runtime failed on this batch; one of its records may be the reason.
        """
        answers: list[Depth | Poison] = []
        step = self._model.best_batch or len(batch)
        for start in range(0, len(batch), step):
            group = batch[start : start + step]
            began = time.perf_counter()
            outputs = self._model.run(np.concatenate([one.input for one in group]))
            inference_ms = (time.perf_counter() - began) * 1e3 / len(group)
            answers += [self._answer(one, out, inference_ms) for one, out in zip(group, outputs, strict=True)]
        return answers

    def refused(self, origin: Derived, status: Status, reason: str) -> Depth:
        """The record that says a frame has no depth because it expired or failed."""
        return Depth(**origin.head(), status=status, reason=reason)

    def close(self) -> None:
        """Nothing to give back: the model goes with the last reference to it."""

    def _answer(self, one: Prepared[Frame, Fitted], output: Tensor, inference_ms: float) -> Depth | Poison:
        began = time.perf_counter()
        values = values_of(output, self._meaning)
        if values is None:
            return ModelFailed(f"{self._model.identity.name} gave NaN for this picture")
        stats = stats_of(values)
        depth_map = encode_map(
            values,
            self._meaning.kind,
            self._meaning.unit,
            step=self._meaning.step,
            level=self._settings.png_level,
        )
        postprocess_ms = (time.perf_counter() - began) * 1e3
        return Depth(
            **origin_of(one.record).head(),
            status=Status.OK,
            map=depth_map,
            stats=stats,
            model=self._model.identity,
            timing=Timing(one.queue_ms, one.preprocess_ms, inference_ms, postprocess_ms),
        )


def _batch(settings: DepthSettings) -> BatchPolicy:
    return BatchPolicy(settings.batch_max, settings.batch_wait_ms / 1e3)


STAGE = Stage(
    "depth",
    settings=DepthSettings,
    sources=(FRAMES,),
    to=DEPTH,
    build=DepthEstimation,
    batch=_batch,
)
