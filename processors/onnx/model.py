"""Open an ONNX model file and run it, on the provider that was asked for or not at all.

Knows tensors and files: what the numbers mean is the business of the stage. One open model serves every
thread of a process: `run` gives up the GIL and needs no lock, and with one thread inside the model per caller
several callers use several cores better than one caller with several threads.
"""

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from framefuse.errors import ModelFailed, ModelUnusable, Stop
from processors.onnx.inputs import picture_input
from processors.picture_model import PictureModel, Tensor
from processors.providers import CPU, Opened, Provider, first_line, open_session
from schemas.records import Model

log = logging.getLogger("framefuse.onnx")


class OnnxModel(PictureModel):
    """One open model file with one picture input; safe to call from several threads."""

    def __init__(
        self,
        path: Path,
        provider: Provider = Provider.AUTO,
        *,
        threads: int = 1,
        size: tuple[int, int] | None = None,
    ) -> None:
        """Open the file and run it once.

        Args:
            path: of the ONNX file.
            provider: what it must run on.
            threads: inside the model, for each thread that calls `run`.
            size: height and width for a file of free size whose metadata has no `imgsz`.

        Raises:
            ModelUnusable: the file is missing, not ONNX, or takes something else than pictures.
            ProviderUnavailable: the provider is not really active.
        """
        content = _read(path)
        opened = _open(content, path, provider, threads)
        self._session, active = opened.session, opened.provider
        log.info("%s runs on %s: %s", path.name, active, opened.reason)
        self.identity = Model(path.name, hashlib.sha256(content).hexdigest(), active)
        self.metadata = dict(self._session.get_modelmeta().custom_metadata_map)
        self.input = picture_input(self._session, path, self.metadata, size)
        self.output_names = tuple(str(output.name) for output in self._session.get_outputs())
        self.output_shapes = self._first_run()
        """Of the outputs for one picture, as they really came out."""

    def run_all(self, pictures: npt.NDArray[np.float32], names: Sequence[str] | None = None) -> list[Tensor]:
        """The outputs of these names, in this order (None: all, in the order of `output_names`), as `run`.

        A fixed batch is filled up with zeros, whose answers are dropped.

        Raises:
            ModelFailed: as `run`.
        """
        count = len(pictures)
        padded = _padded(pictures, self.input.batch or count)
        feed: dict[str, npt.NDArray[Any]] = {self.input.name: padded.astype(self.input.dtype, copy=False)}
        if self.input.sizes_name is not None:
            height, width = padded.shape[2:]
            feed[self.input.sizes_name] = np.full((len(padded), 2), (width, height), np.int64)
        try:
            outputs = [np.asarray(output) for output in self._session.run(names, feed)]
        except Exception as error:  # the runtime's errors have no common class but this
            raise ModelFailed(f"{self.identity.name} failed while running: {first_line(error)}") from error
        if len(padded) == count:
            return outputs
        return [out[:count] if out.shape[:1] == padded.shape[:1] else out for out in outputs]

    def _first_run(self) -> tuple[tuple[int, ...], ...]:
        nothing = np.zeros((1, 3, self.input.height, self.input.width), np.float32)
        try:
            return tuple(output.shape for output in self.run_all(nothing))
        except ModelFailed as error:
            raise ModelUnusable(str(error)) from error

    @property
    def best_batch(self) -> int | None:
        """Pictures a run should get, or None for as many as there are.

        On a CPU one, as batches gain nothing there, unless the file fixes their number.
        """
        if self.input.batch is not None:
            return self.input.batch
        return 1 if self.identity.provider == CPU else None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ModelUnusable(f"no model file {path}: give the path of an ONNX file") from None
    except OSError as error:
        raise ModelUnusable(f"cannot read model {path}: {error.strerror}") from error


def _open(content: bytes, path: Path, provider: Provider, threads: int) -> Opened:
    try:
        return open_session(content, provider, threads=threads)
    except Stop:
        raise
    except Exception as error:  # the runtime's errors have no common class but this
        message = f"{path} is not a usable ONNX model: {first_line(error)}"
        if "external" in message:
            message += ": save it as one file, with its weights inside"
        raise ModelUnusable(message) from error


def _padded(pictures: npt.NDArray[np.float32], count: int) -> npt.NDArray[np.float32]:
    """`count` pictures, the missing ones black."""
    missing = count - len(pictures)
    if missing <= 0:
        return pictures
    return np.concatenate([pictures, np.zeros((missing, *pictures.shape[1:]), np.float32)])
