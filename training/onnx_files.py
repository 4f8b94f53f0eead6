"""The two committed models, run as anybody would: ONNX Runtime, one thread, one picture at a time."""

import ast
import hashlib
import time
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from framefuse.errors import ModelUnusable

MODELS = Path(__file__).parent.parent / "processors" / "models"
DETECTOR = MODELS / "demo-detector.onnx"
DEPTH = MODELS / "demo-depth.onnx"
SUMS = MODELS / "SHA256SUMS"
Picture = NDArray[np.uint8]
Output = NDArray[np.float32]


class OnnxModel:
    """One session on one thread; `metadata` as written in the file."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise ModelUnusable(f"{path} is missing, expected a model file: run 'make train'")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.metadata: dict[str, str] = self._session.get_modelmeta().custom_metadata_map
        height, width = ast.literal_eval(self.metadata["imgsz"])
        self.size: tuple[int, int] = (int(width), int(height))
        self.seconds: list[float] = []

    def run(self, image: Picture) -> Output:
        """The output for one H×W×3 BGR picture of the model's size, without its batch axis."""
        tensor = cv2.dnn.blobFromImage(image, 1 / 255, self.size, swapRB=True)
        started = time.perf_counter()
        output = self._session.run(None, {"images": tensor})[0]
        self.seconds.append(time.perf_counter() - started)
        return np.asarray(output[0], np.float32)

    @property
    def confidence(self) -> float:
        """The shipped threshold of a detector."""
        return float(self.metadata["confidence"])


def sha256(path: Path) -> str:
    """Hexadecimal digest of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
