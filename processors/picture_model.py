"""What stages ask of an open model, whatever runs it: an ONNX file (`onnx/`) or torch (`hub/`).

Knows tensors and metadata: what the numbers mean is the business of the stage.
"""

from abc import ABC, abstractmethod
from ast import literal_eval
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from framefuse.errors import ModelUnusable
from schemas.records import Model

Tensor = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class InputShape:
    """What a model takes: N×3×height×width, RGB."""

    name: str
    height: int
    width: int
    dtype: type[np.floating[Any]]
    batch: int | None
    """Pictures a run, fixed by the file; None: as many as one likes."""
    any_size: bool
    """True: height and width are those it was exported with, and others work too."""
    sizes_name: str | None = None
    """Of a second input, N×2 int64, width and height to scale boxes to; it gets those of the pictures."""


class PictureModel(ABC):
    """One open model with one picture input; safe to call from several threads."""

    identity: Model
    reason: str
    """Why it runs on the provider that `identity` names."""
    metadata: Mapping[str, str]
    input: InputShape
    output_names: tuple[str, ...]
    output_shapes: tuple[tuple[int, ...], ...]
    """Of the outputs for one picture, as they really came out."""

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Of the first output for one picture."""
        return self.output_shapes[0]

    @property
    @abstractmethod
    def best_batch(self) -> int | None:
        """Pictures a run should get, or None for as many as there are."""

    @abstractmethod
    def run_all(self, pictures: npt.NDArray[np.float32], names: Sequence[str] | None = None) -> list[Tensor]:
        """The outputs of these names, in this order (None: all, in the order of `output_names`), as `run`.

        Raises:
            ModelFailed: as `run`.
        """

    def run(self, pictures: npt.NDArray[np.float32]) -> Tensor:
        """The first output for N×3×height×width float32 pictures; N is at most `input.batch`, if it is fixed.

        Raises:
            ModelFailed: the runtime failed on these pictures; the model itself ran when it was opened.
        """
        return self.run_all(pictures, self.output_names[:1])[0]

    def literal(self, key: str) -> object:
        """A metadata value that is a Python literal, as Ultralytics writes them; None where there is none.

        Raises:
            ModelUnusable: it is not a literal.
        """
        text = self.metadata.get(key)
        if text is None:
            return None
        try:
            return literal_eval(text)
        except (ValueError, SyntaxError):
            raise ModelUnusable(
                f"{self.identity.name}: metadata {key!r} is {text[:60]!r}, expected a Python literal"
            ) from None

    def number(self, key: str) -> float | None:
        """A metadata value that is a number; None where there is none.

        Raises:
            ModelUnusable: it is not a number.
        """
        text = self.metadata.get(key)
        try:
            return None if text is None else float(text)
        except ValueError:
            raise ModelUnusable(
                f"{self.identity.name}: metadata {key!r} is {text!r}, expected a number"
            ) from None
