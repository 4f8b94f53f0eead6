"""Open an ONNX model file and run it, on the provider that was asked for or not at all.

Knows tensors and files: what the numbers mean is the business of the stage. One open model serves every
thread of a process: `run` gives up the GIL and needs no lock, and with one thread inside the model per caller
several callers use several cores better than one caller with several threads.
"""

import hashlib
import logging
from ast import literal_eval
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from pydantic import Field

from framefuse.errors import ModelFailed, ModelUnusable, Stop
from framefuse.pictures.decoding import PIXEL_LIMIT
from framefuse.settings import StageSettings
from processors.picture_model import InputShape, PictureModel, Tensor
from processors.providers import CPU, Opened, Provider, first_line, open_session
from schemas.records import Model

log = logging.getLogger("framefuse.onnx")

_SIZES = "orig_target_sizes"
"""The second input of RT-DETR and D-FINE as their own repositories export them."""
_DTYPES: Mapping[str, type[np.floating[Any]]] = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


class OnnxSettings(StageSettings):
    """What every stage with a model can be told."""

    section: ClassVar[str | None] = None
    model: Path | None = Field(None, description="ONNX file; without it, the demo model.")
    provider: Provider = Field(Provider.AUTO, description="auto, cpu or cuda; what is not there is an error.")
    threads: int = Field(1, ge=1, description="Threads inside the model, for each thread that calls it.")
    batch_max: int = Field(8, ge=1, description="Most frames in one batch.")
    batch_wait_ms: float = Field(0.0, ge=0, description="How long a batch waits to be full.")
    max_pixels: int = Field(PIXEL_LIMIT, ge=1, description="A larger picture is refused from its header.")
    reduced_decode: bool | None = Field(
        None,
        description="Decode a JPEG at 1/2, 1/4 or 1/8 where the model sees no more of it: faster, nearly the "
        "same. By default only for the demo models.",
    )

    @property
    def reduces(self) -> bool:
        """Whether pictures may be decoded smaller; a model that was brought gets the exact ones."""
        return self.model is None if self.reduced_decode is None else self.reduced_decode


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
        self.input = _picture_input(self._session, path, self.metadata, size)
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


def _picture_input(
    session: ort.InferenceSession, path: Path, metadata: Mapping[str, str], size: tuple[int, int] | None
) -> InputShape:
    inputs = session.get_inputs()
    sizes_name = next(
        (one.name for one in inputs if one.name == _SIZES and one.type == "tensor(int64)"), None
    )
    pictures = [one for one in inputs if one.name != sizes_name]
    if len(pictures) != 1:
        names = ", ".join(one.name for one in inputs)
        raise ModelUnusable(f"{path} has {len(inputs)} inputs ({names}): expected one, the picture")
    (only,) = pictures
    shape = only.shape
    if len(shape) != 4 or (shape[1] != 3 and isinstance(shape[1], int)):
        raise ModelUnusable(f"{path} takes {only.name} of shape {shape}: expected N×3×height×width")
    if only.type not in _DTYPES:
        raise ModelUnusable(f"{path} takes {only.type}: expected {' or '.join(_DTYPES)}")
    batch = shape[0] if isinstance(shape[0], int) else None
    if batch is not None and batch < 1:
        raise ModelUnusable(f"{path} takes {batch} pictures a run: export it with batch 1 or a free batch")
    fixed = [isinstance(side, int) for side in shape[2:]]
    height, width = shape[2:] if all(fixed) else _said(path, metadata, size)
    if min(height, width) < 1:
        raise ModelUnusable(f"{path} takes pictures of {width}×{height} pixels: export it with a real size")
    return InputShape(
        only.name, height, width, _DTYPES[only.type], batch, any_size=not any(fixed), sizes_name=sizes_name
    )


def _padded(pictures: npt.NDArray[np.float32], count: int) -> npt.NDArray[np.float32]:
    """`count` pictures, the missing ones black."""
    missing = count - len(pictures)
    if missing <= 0:
        return pictures
    return np.concatenate([pictures, np.zeros((missing, *pictures.shape[1:]), np.float32)])


def _said(path: Path, metadata: Mapping[str, str], size: tuple[int, int] | None) -> tuple[int, int]:
    """Height and width from the metadata `imgsz`, else `size`, for a file of free size."""
    if size is not None and "imgsz" not in metadata:
        return size
    try:
        height, width = literal_eval(metadata["imgsz"])
        return int(height), int(width)
    except (KeyError, ValueError, TypeError, SyntaxError):
        raise ModelUnusable(
            f"{path} takes any height and width, and its metadata has no 'imgsz' like '[640, 640]': "
            "export it with a fixed size"
        ) from None
