"""How a model is run, beyond what its file says."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from framefuse.errors import BadInput


@dataclass(frozen=True, slots=True)
class Tuning:
    """What `OnnxSettings` says of it."""

    batch_max: int = 8
    """Most pictures that come at once."""
    as_on_gpu: bool | None = None
    """Static sizes of batches, and memory that is bound; None: everywhere but on a CPU."""
    tensorrt_cache: Path | None = None
    """Folder for engines; None: in this user's cache folder."""
    tensorrt_fp16: bool = False


def tensorrt_options(tuning: Tuning, sha256: str) -> Mapping[str, str]:
    """Options of TensorRT for the model of this content, whose engines get a folder of their own.

    The runtime takes "True" and "False" only, and names the files by its version, TensorRT's and the GPU.

    Raises:
        BadInput: the folder cannot be made.
    """
    root = tuning.tensorrt_cache or platformdirs.user_cache_path("framefuse") / "tensorrt"
    folder = root.absolute() / sha256
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"no engine can be kept in {root}: {error.strerror}: set --tensorrt-cache") from error
    return {
        "trt_engine_cache_enable": "True",
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": "True",
        "trt_timing_cache_path": str(folder),
        "trt_fp16_enable": str(tuning.tensorrt_fp16),
    }
