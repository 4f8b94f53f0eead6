"""The depth stage: a frame in, its depth map out."""

import time
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files
from math import isfinite
from typing import ClassVar

import numpy as np
from pydantic import Field

from framefuse.errors import ModelFailed, ModelUnusable, Poison
from framefuse.pictures.decoding import decode_frame, encode_map, stats_of
from framefuse.types import BatchPolicy, Prepared, Record, Stage, origin_of
from processors.about import About, colours
from processors.depth.fitting import Fitted, fitting_of
from processors.depth.foreign import InputPreset, Told, told
from processors.depth.meaning import Meaning, meaning_of, values_of, verify_map
from processors.depth.stabilising import Stabiliser
from processors.hub.opening import Runtime, Wish, open_model
from processors.onnx import OnnxSettings
from processors.picture_model import Tensor
from processors.runs import runs_of_one_size
from schemas.records import Depth, DepthKind, Derived, Frame, Model, Status, Timing
from schemas.topics import DEPTH, FRAMES

DEMO_MODEL = "demo-depth.onnx"


class DepthSettings(OnnxSettings):
    """Of the depth stage."""

    section: ClassVar[str | None] = "depth"
    runtime: Runtime | None = Field(
        None, description="onnx or torch; without it, what the files at the model's address are for."
    )
    map_kind: DepthKind | None = Field(
        None, description="What an ONNX file gives that does not say it: RELATIVE_INVERSE or METRIC."
    )
    map_unit: str | None = Field(None, description="Of METRIC: m; for a file that does not say it.")
    input: InputPreset | None = Field(
        None,
        description="How pictures are made for a file that does not say it: plain (0 to 1, stretched), "
        "imagenet (the same, normalised) or depth-anything (aspect kept, multiples of 14).",
    )
    stabilise: bool = Field(
        default=False,
        description="Bring the RELATIVE_INVERSE maps of a stream to one scale over time; each map says how.",
    )
    png_level: int = Field(1, ge=0, le=9, description="Compression of the map; above 1 is slow for nothing.")


class DepthEstimation:
    """Estimates the depth of frames; one instance serves any number of threads.

    The input covers exactly the picture, so any point of the map is the same fraction of it; the map stays at
    the resolution that the model gave.
    """

    def __init__(self, settings: DepthSettings) -> None:
        """Open the model.

        Raises:
            BadInput: the address has models for both runtimes and `runtime` does not choose.
            ModelUnusable: it is missing, broken, gives no map, or nobody says what its numbers mean.
            ProviderUnavailable: the provider is not really active.
        """
        address = str(settings.model or files("processors.models") / DEMO_MODEL)
        wish = Wish(settings.runtime, settings.provider, settings.threads, settings.tuning)
        self._model = open_model(address, wish, settings.fetching)
        verify_map(self._model)
        self._model.metadata = told(self._model, Told(settings.map_kind, settings.map_unit, settings.input))
        self._meaning: Meaning = meaning_of(self._model)
        self._fitting = fitting_of(self._model)
        self._stabiliser = _stabiliser(settings, self._model.identity.name, self._meaning)
        self._settings = settings

    @property
    def model(self) -> Model:
        """Which model it is, and what it runs on."""
        return self._model.identity

    def about(self) -> About:
        """What this stage makes of its model."""
        fitting, meaning = self._fitting, self._meaning
        unit = f" in {meaning.unit}" if meaning.unit else ""
        far = f", up to {meaning.far:g}" if isfinite(meaning.far) else ""
        size = "aspect kept" if fitting.keep_aspect else "stretched"
        return About(
            self._model,
            f"{meaning.kind}{unit}{far}",
            f"{size}, {fitting.resample}, {colours(fitting.mean, fitting.std)}",
            stride=fitting.multiple_of if self._model.input.any_size else None,
        )

    def prepare(self, record: Record[Frame]) -> Fitted:
        """Verify, decode and fit a picture.

        Raises:
            UnreadableImage: the picture is not what its record says, or broken.
        """
        frame = record.value
        sides = max(frame.width, 1), max(frame.height, 1)  # a record may say anything until it is verified
        enough = self._fitting.size(*sides) if self._settings.reduces else None
        image = decode_frame(frame, at_least=enough, max_pixels=self._settings.max_pixels)
        return self._fitting.fit(image)

    def process(self, batch: Sequence[Prepared[Frame, Fitted]]) -> Sequence[Depth | Poison]:
        """The depth map of each frame, in order; ModelFailed where the model gave no numbers.

        Raises:
            ModelFailed: the runtime failed on this batch; one of its records may be the reason.
        """
        outputs: dict[int, tuple[Tensor, float]] = {}
        most = self._model.best_batch or len(batch)
        for places in runs_of_one_size([one.input.shape for one in batch], most):
            began = time.perf_counter()
            found = self._model.run(np.concatenate([batch[place].input for place in places]))
            inference_ms = (time.perf_counter() - began) * 1e3 / len(places)
            outputs |= {place: (output, inference_ms) for place, output in zip(places, found, strict=True)}
        return [self._answer(one, *outputs[place]) for place, one in enumerate(batch)]

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
        origin, stabilised = origin_of(one.record), None
        if self._stabiliser is not None:
            values, stabilised = self._stabiliser.stabilise(origin, values)
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
            **origin.head(),
            status=Status.OK,
            map=replace(depth_map, stabilised=stabilised),
            stats=stats,
            model=self._model.identity,
            timing=Timing(one.queue_ms, one.preprocess_ms, inference_ms, postprocess_ms),
        )


def _stabiliser(settings: DepthSettings, name: str, meaning: Meaning) -> Stabiliser | None:
    if not settings.stabilise:
        return None
    if meaning.kind is DepthKind.METRIC:
        raise ModelUnusable(f"{name} gives {meaning.unit}, which are never changed: leave out --stabilise")
    return Stabiliser()


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
