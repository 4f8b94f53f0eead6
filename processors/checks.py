"""What `framefuse doctor` asks of the models: their files, the runtime, and what they run on."""

import hashlib
import shutil
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from framefuse.doctor.findings import Check, Finding, Scene, ok, problem, warning
from framefuse.errors import FramefuseError, ModelUnusable, ProviderUnavailable

if TYPE_CHECKING:
    from processors.onnx import OnnxSettings

_RUNTIME, _GPU_RUNTIME = "onnxruntime", "onnxruntime-gpu"
_CUDA = "CUDAExecutionProvider"
_NVIDIA = Path("/proc/driver/nvidia/version")


def look_at_runtime(scene: Scene) -> Sequence[Finding]:
    """Which of the two packages is there, and whether it can use the GPU of this machine."""
    del scene
    installed = {name: found for name in (_RUNTIME, _GPU_RUNTIME) if (found := _version(name))}
    both = packages(installed)
    if both.mend:
        return [both]
    import onnxruntime as ort

    has_gpu = _NVIDIA.exists() or shutil.which("nvidia-smi") is not None
    return [both, providers(ort.get_available_providers(), has_gpu=has_gpu)]


def packages(installed: dict[str, str]) -> Finding:
    """Whether exactly one of the two is installed: they hold the same files, and the last one wins."""
    if len(installed) == 2:
        text = f"{_RUNTIME} and {_GPU_RUNTIME} are both installed: each overwrites the other's files"
        mend = f"pip uninstall -y {_RUNTIME} {_GPU_RUNTIME} && pip install {_GPU_RUNTIME}"
        return problem("onnxruntime", text, mend)
    if not installed:
        return problem("onnxruntime", "not installed: no model can run", f"pip install {_RUNTIME}")
    return ok("onnxruntime", ", ".join(f"{name} {number}" for name, number in installed.items()))


def providers(available: Sequence[str], *, has_gpu: bool) -> Finding:
    """Whether the runtime offers what the machine has."""
    names = ", ".join(name.removesuffix("ExecutionProvider") for name in available)
    if has_gpu and _CUDA not in available:
        text = f"this machine has an NVIDIA GPU, and this onnxruntime offers {names} only"
        return warning("providers", text, f"pip uninstall -y {_RUNTIME} && pip install {_GPU_RUNTIME}")
    return ok("providers", names)


def look_at_models(scene: Scene) -> Sequence[Finding]:
    """Open the model of each stage as its worker would."""
    del scene
    from framefuse.settings import load
    from processors.depth import stage as depth
    from processors.detection import stage as detection
    from processors.detection.settings import DetectionSettings

    return [
        _model("detection", load(DetectionSettings), detection.DEMO_MODEL),
        _model("depth", load(depth.DepthSettings), depth.DEMO_MODEL),
    ]


def _model(stage: str, settings: "OnnxSettings", demo: str) -> Finding:
    subject = f"{stage} model"
    if settings.model is None:
        path = Path(str(files("processors.models") / demo))
        differs = differs_from(_sums(), path)
        if differs:
            return problem(subject, differs, "pip install --force-reinstall --no-deps framefuse")
    else:
        path = Path(settings.model)
    return opened(subject, stage, path, settings)


def opened(subject: str, stage: str, path: Path, settings: "OnnxSettings") -> Finding:
    """Whether the file is a model that runs on what was asked for."""
    from processors.onnx import OnnxModel

    variable = f"FRAMEFUSE_{stage.upper()}"
    try:
        model = OnnxModel(path, settings.provider, threads=settings.threads, tuning=settings.tuning)
    except ProviderUnavailable as error:
        return problem(subject, str(error).partition(":")[0], f"export {variable}_PROVIDER=auto")
    except ModelUnusable as error:
        return problem(subject, str(error), f"export {variable}_MODEL=path/to/a/model.onnx")
    except FramefuseError as error:
        return problem(subject, str(error), f"unset {variable}_MODEL")
    provider = model.identity.provider.removesuffix("ExecutionProvider")
    return ok(subject, f"{path.name} runs on {provider}, sha256 {model.identity.sha256[:12]}…")


def differs_from(sums: dict[str, str], path: Path) -> str:
    """How a file of ours is not what it was published as; empty when it is."""
    if not path.is_file():
        return f"{path} is missing"
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    expected = sums.get(path.name, "")
    if found == expected:
        return ""
    return f"{path} has sha256 {found[:12]}…, expected {expected[:12] or 'none'}…: it is damaged or changed"


def _sums() -> dict[str, str]:
    """sha256 by name of the files that come along."""
    text = (files("processors.models") / "SHA256SUMS").read_text("utf-8")
    return {name: digest for digest, name in (line.split() for line in text.splitlines() if line.strip())}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


RUNTIME = Check("onnxruntime", look_at_runtime, timeout_s=15.0)
MODELS = Check("models", look_at_models, timeout_s=30.0)
