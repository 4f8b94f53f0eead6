"""The two committed models, run as the pipeline runs them: one thread, one picture at a time."""

import hashlib
import time
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from framefuse.errors import ModelUnusable
from processors.onnx import OnnxModel
from processors.providers import Provider

MODELS = Path(__file__).parent.parent / "processors" / "models"
DETECTOR = MODELS / "demo-detector.onnx"
DEPTH = MODELS / "demo-depth.onnx"
SUMS = MODELS / "SHA256SUMS"


class TimedModel:
    """A model file on one thread; `seconds` grows by the processor time of each picture."""

    def __init__(self, path: Path) -> None:
        self._model = OnnxModel(path, Provider.CPU, threads=1)
        self.seconds: list[float] = []

    def run(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The output for one H×W×3 BGR picture of the model's size, without its batch axis."""
        tensor = np.asarray(cv2.dnn.blobFromImage(image, 1 / 255, swapRB=True), np.float32)
        started = time.thread_time()
        output = self._model.run(tensor)
        self.seconds.append(time.thread_time() - started)
        return np.asarray(output[0], np.float32)

    @property
    def confidence(self) -> float:
        """The shipped threshold of a detector.

        Raises:
            ModelUnusable: the file has none.
        """
        confidence = self._model.number("confidence")
        if confidence is None:
            raise ModelUnusable("the detector's metadata has no 'confidence': run 'make train'")
        return confidence

    @property
    def milliseconds(self) -> float:
        """Median processor time of one picture."""
        return float(np.median(self.seconds)) * 1000


def sha256(path: Path) -> str:
    """Hexadecimal digest of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
