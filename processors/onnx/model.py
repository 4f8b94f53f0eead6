"""Open an ONNX model file and run it, on the provider that was asked for or not at all.

Knows tensors and files: what the numbers mean is the business of the stage. One open model serves every
thread of a process: `run` gives up the GIL and needs no lock, and with one thread inside the model per caller
several callers use several cores better than one caller with several threads.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from framefuse import metrics
from framefuse.errors import ModelFailed, ModelUnusable, Stop
from processors.announcing import announce
from processors.model_files.fetching import fetch_file
from processors.model_files.mistaken import mistaken_for
from processors.model_files.model import LocalModel
from processors.onnx.batches import bucket_for, buckets_up_to, filled
from processors.onnx.binding import BoundRuns
from processors.onnx.inputs import picture_input
from processors.onnx.tuning import Tuning, tensorrt_options
from processors.overhearing import first_line, mends_for
from processors.picture_model import PictureModel, Tensor
from processors.providers import CPU, Opened, Provider, SessionWish, open_session
from schemas.records import Model

log = logging.getLogger("framefuse.onnx")
_NOT_PARSED = "Protobuf parsing failed"


class OnnxModel(PictureModel):
    """One open model file with one picture input; safe to call from several threads."""

    def __init__(
        self,
        model: LocalModel | Path,
        provider: Provider = Provider.AUTO,
        *,
        threads: int = 1,
        size: tuple[int, int] | None = None,
        tuning: Tuning | None = None,
    ) -> None:
        """Open the file and run it once; on a GPU with every size of batch that it will get.

        AUTO goes on to the CPU where CUDA is there and cannot run this file, and says so.

        Args:
            model: the ONNX file.
            provider: what it must run on.
            threads: inside the model, for each thread that calls `run`.
            size: height and width for a file of free size whose metadata has no `imgsz`.
            tuning: how it is run.

        Raises:
            BadInput: the folder for engines of TensorRT cannot be made.
            ModelUnusable: the file is missing, not ONNX, or takes something else than pictures.
            ProviderUnavailable: the provider is not really active.
        """
        found, self._tuning = _found(model), tuning or Tuning()
        options = tensorrt_options(self._tuning, found.sha256) if provider is Provider.TENSORRT else {}
        opened = _open(found, provider, SessionWish(threads, options))
        try:
            self._use(opened, found, size)
        except ModelFailed as error:
            if opened.provider == CPU:
                raise ModelUnusable(str(error)) from error
            if provider is not Provider.AUTO:
                raise ModelUnusable(f"{error}: {mends_for(str(error))}try --provider cpu") from error
            reason = f"{opened.provider} is there and cannot run it ({error})"
            on_cpu = _open(found, Provider.CPU, SessionWish(threads))
            opened = replace(on_cpu, reason=reason, fell_back=True)
            self._use(opened, found, size)
        self.reason = opened.reason
        announce(self.identity, opened.reason, fell_back=opened.fell_back)
        self._prepare_batches()

    def _use(self, opened: Opened, found: LocalModel, size: tuple[int, int] | None) -> None:
        """Take over an open session and run it once; ModelFailed where it cannot."""
        self._session = opened.session
        self.identity = Model(found.name, found.sha256, opened.provider)
        self.metadata = dict(self._session.get_modelmeta().custom_metadata_map)
        self.input = picture_input(self._session, found.path, self.metadata, size)
        self.output_names = tuple(str(output.name) for output in self._session.get_outputs())
        self._buckets: tuple[int, ...] = (self.input.batch or 1,)
        self._bound = BoundRuns(self._session, _device(opened.provider)) if self._as_on_gpu else None
        self.output_shapes = tuple(output.shape for output in self._answers(self._nothing(1)))

    def run_all(self, pictures: npt.NDArray[np.float32], names: Sequence[str] | None = None) -> list[Tensor]:
        """The outputs of these names, in this order (None: all, in the order of `output_names`), as `run`.

        A batch is filled up with zeros to what the file fixes, or a GPU was prepared for; their answers are
        dropped.

        Raises:
            ModelFailed: as `run`.
        """
        outputs = self._answers(pictures, names)
        count, in_run = len(pictures), bucket_for(len(pictures), self._buckets)
        metrics.PICTURES.labels(self.identity.name, "frame").inc(count)
        metrics.PICTURES.labels(self.identity.name, "filling").inc(in_run - count)
        return outputs

    def _answers(self, pictures: npt.NDArray[np.float32], names: Sequence[str] | None = None) -> list[Tensor]:
        """As `run_all`, for whatever reason."""
        count = len(pictures)
        padded = filled(pictures, bucket_for(count, self._buckets))
        feed: dict[str, npt.NDArray[Any]] = {self.input.name: padded.astype(self.input.dtype, copy=False)}
        if self.input.sizes_name is not None:
            height, width = padded.shape[2:]
            feed[self.input.sizes_name] = np.full((len(padded), 2), (width, height), np.int64)
        try:
            run = self._session.run if self._bound is None else self._bound.run
            outputs = [np.asarray(output) for output in run(names or self.output_names, feed)]
        except Exception as error:  # the runtime's errors have no common class but this
            raise ModelFailed(f"{self.identity.name} failed while running: {first_line(error)}") from error
        if len(padded) == count:
            return outputs
        return [out[:count] if out.shape[:1] == padded.shape[:1] else out for out in outputs]

    @property
    def best_batch(self) -> int:
        """Pictures that a run should get at most.

        On a CPU one, as batches gain nothing there, unless the file fixes their number.
        """
        return self._buckets[-1]

    @property
    def _as_on_gpu(self) -> bool:
        asked = self._tuning.as_on_gpu
        return self.identity.provider != CPU if asked is None else asked

    def _prepare_batches(self) -> None:
        """Run every size of batch once, and keep those that work.

        One size where the file fixes it, and on a CPU, which gains nothing from more.
        """
        if self.input.batch is not None or not self._as_on_gpu:
            return
        began_s = time.monotonic()
        asked = buckets_up_to(self._tuning.batch_max)
        # The largest first, as TensorRT builds anew for a larger one.
        works = {size for size in reversed(asked) if self._takes(size)}
        sizes = tuple(size for size in asked if size in works) or self._buckets
        log.info(
            "%s is prepared for batches of %s in %.1f s",
            *(self.identity.name, ", ".join(map(str, sizes)), time.monotonic() - began_s),
        )
        self._buckets = sizes

    def _takes(self, size: int) -> bool:
        """Whether a run of this many pictures gives this many answers."""
        try:
            found = [output.shape[:1] for output in self._answers(self._nothing(size))]
        except ModelFailed as error:
            log.warning("%s takes no batch of %d: %s", self.identity.name, size, error)
            return False
        if any(shape != (size,) for shape in found):
            log.warning("%s gives %s answers for %d pictures: no such batch", self.identity.name, found, size)
            return False
        return True

    def _nothing(self, count: int) -> npt.NDArray[np.float32]:
        return np.zeros((count, 3, self.input.height, self.input.width), np.float32)


def _found(model: LocalModel | Path) -> LocalModel:
    return fetch_file(str(model)) if isinstance(model, Path) else model


def _open(model: LocalModel, provider: Provider, wish: SessionWish) -> Opened:
    try:
        return open_session(model.path, provider, wish)
    except Stop:
        raise
    except Exception as error:  # the runtime's errors have no common class but this
        mistaken = mistaken_for(model.path)
        if mistaken is not None:
            raise ModelUnusable(f"{model.whence} is not a usable ONNX model but {mistaken}") from error
        reason = first_line(error)
        if _NOT_PARSED in reason:
            reason = f"damaged, cut off or no ONNX file ({model.path.stat().st_size} bytes)"
        message = f"{model.whence} is not a usable ONNX model: {reason}"
        if "external" in message:  # weights may lie outside, but not what shapes hang on
            message += ": save it as one file, or with onnx's usual size_threshold"
        raise ModelUnusable(message) from error


def _device(provider: str) -> str:
    """As the runtime calls where its memory is."""
    return "cpu" if provider == CPU else "cuda"
