"""The detection stage: a frame in, its objects out."""

import time
from collections.abc import Sequence
from importlib.resources import files

import numpy as np
import numpy.typing as npt

from framefuse.errors import ModelFailed, Poison
from framefuse.pictures.decoding import decode_frame, measure
from framefuse.types import BatchPolicy, Prepared, Record, Stage, origin_of
from processors.about import About, colours
from processors.detection.classes import class_ids
from processors.detection.decode import Candidates, suppress
from processors.detection.fitting import Fitted
from processors.detection.heads.choice import Evidence, choose_head
from processors.detection.heads.head import Output
from processors.detection.letterbox import Placement
from processors.detection.metadata import read_metadata
from processors.detection.opening import open_detector
from processors.detection.settings import DetectionSettings, choose_fitting, warn_of_settings
from processors.hub.opening import Wish
from processors.picture_model import Tensor
from processors.runs import runs_of_one_size
from schemas.records import Box, Derived, Detections, Frame, Model, Object, Status, Timing
from schemas.topics import DETECTIONS, FRAMES

DEMO_MODEL = "demo-detector.onnx"


class Detection:
    """Finds the objects of frames; one instance serves any number of threads."""

    def __init__(self, settings: DetectionSettings) -> None:
        """Open the model.

        Raises:
            BadInput: the address has models for both runtimes and `runtime` does not choose, or
                the model does not have one of `classes`.
            ModelUnusable: it is missing, broken, or not a detector with exactly one head we know.
            ProviderUnavailable: the provider is not really active.
        """
        address = settings.model or str(files("processors.models") / DEMO_MODEL)
        wish = Wish(settings.runtime, settings.provider, settings.threads, settings.tuning)
        self._model, beside = open_detector(address, wish, settings.fetching)
        self._settings = settings
        self._metadata = read_metadata(self._model, beside)
        choice = choose_head(self._evidence(), settings.head or self._metadata.head)
        self._head, self._outputs = choice.head, choice.outputs
        self._most = self._metadata.max_det or choice.rows
        name, said = self._model.identity.name, self._metadata
        self._fitting = choose_fitting(settings, name, self._head, said.fitting)
        asked = settings.classes
        self._classes = None if asked is None else class_ids(asked, name, said.names, choice.classes)
        warn_of_settings(settings, name, self._head, said)
        self._confidence = _first(settings.confidence, self._model.number("confidence"), 0.25)
        self._iou = _first(settings.iou, self._model.number("iou"), 0.7)
        self._iou_any_label = _first(settings.iou_any_label, self._model.number("iou_any_label"), 1.0)

    @property
    def model(self) -> Model:
        """Which model it is, and what it runs on."""
        return self._model.identity

    def about(self) -> About:
        """What this stage makes of its model."""
        fitting, said = self._fitting, self._metadata
        return About(
            self._model,
            f"{self._head.name} ({self._head.gives})",
            f"{fitting.resize}, {colours(fitting.mean, fitting.std)}",
            said.names,
            said.stride if self._model.input.any_size or "stride" in self._model.metadata else None,
        )

    def prepare(self, record: Record[Frame]) -> Fitted:
        """Verify, decode and letterbox a picture.

        Raises:
            UnreadableImage: the picture is not what its record says, or broken.
        """
        frame, shape = record.value, self._model.input
        _, *source = measure(frame.image)
        size, stride = (source[0], source[1]), self._metadata.stride if shape.any_size else None
        placement = self._fitting.place(size, (shape.width, shape.height), stride=stride)
        enough = (placement.width, placement.height) if self._settings.reduces else None
        image = decode_frame(frame, at_least=enough, max_pixels=self._settings.max_pixels)
        tensor = self._fitting.fit(image, placement)
        # Ultralytics knows only the canvas when it scales back, so a cut border may round otherwise there.
        return Fitted(tensor, self._fitting.place(size, placement.canvas, stride=None))

    def process(self, batch: Sequence[Prepared[Frame, Fitted]]) -> Sequence[Detections | Poison]:
        """Objects of each frame, in order; ModelFailed where the model gave no finite numbers.

        Raises:
            ModelFailed: the runtime failed on this batch; one of its records may be the reason.
        """
        outputs: dict[int, tuple[tuple[Tensor, ...], float]] = {}
        most = 1 if self._metadata.exported_suppression else self._model.best_batch or len(batch)
        for places in runs_of_one_size([one.input.tensor.shape for one in batch], most):
            began = time.perf_counter()
            found = self._model.run_all(_stacked([batch[place] for place in places]), self._outputs)
            inference_ms = (time.perf_counter() - began) * 1e3 / len(places)
            each = zip(places, zip(*found, strict=True), strict=True)
            outputs |= {place: (output, inference_ms) for place, output in each}
        return [self._answer(one, *outputs[place]) for place, one in enumerate(batch)]

    def refused(self, origin: Derived, status: Status, reason: str) -> Detections:
        """The record that says a frame has no objects because it expired or failed."""
        return Detections(**origin.head(), status=status, reason=reason)

    def close(self) -> None:
        """Nothing to give back: the model goes with the last reference to it."""

    def _answer(
        self, one: Prepared[Frame, Fitted], outputs: Sequence[Tensor], inference_ms: float
    ) -> Detections | Poison:
        began = time.perf_counter()
        found = self._head.candidates(outputs, self._confidence)
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
        if self._classes is not None:
            found = found.of(self._classes)
        most = min(self._settings.max_det, self._most)
        if not self._head.overlapping:
            return found.take(slice(most))
        return suppress(found, iou=self._iou, max_det=most, iou_any_label=self._iou_any_label)

    def _evidence(self) -> Evidence:
        model, said = self._model, self._metadata
        return Evidence(
            model.identity.name,
            [Output(*output) for output in zip(model.output_names, model.output_shapes, strict=True)],
            canvas=(model.input.width, model.input.height),
            classes=None if said.names is None else len(said.names),
            end_to_end=said.end_to_end,
            decoder=said.decoder,
        )

    def _objects(self, kept: Candidates, placement: Placement) -> tuple[Object, ...]:
        unit = np.array(placement.canvas * 2 if self._head.fractions else (1,) * 4, np.float32)
        boxes, scores = placement.invert(kept.boxes * unit).tolist(), kept.scores.tolist()
        return tuple(
            Object(self._metadata.label(class_id), class_id, score, Box(*box))
            for box, score, class_id in zip(boxes, scores, kept.class_ids.tolist(), strict=True)
        )


def _stacked(group: Sequence[Prepared[Frame, Fitted]]) -> npt.NDArray[np.float32]:
    """N×3×h×w; one picture is not copied."""
    if len(group) == 1:
        return group[0].input.tensor
    return np.concatenate([one.input.tensor for one in group])


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
