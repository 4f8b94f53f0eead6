"""What `framefuse doctor` asks of the models: their files, the runtime, and what they run on."""

import hashlib
import re
import shutil
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from framefuse.doctor.findings import Check, Finding, Scene, ok, problem, warning
from framefuse.errors import FramefuseError, ProviderUnavailable, Stop
from framefuse.installing import install, origin
from processors import providers, runtime_packages

_NVIDIA = Path("/proc/driver/nvidia/version")
_INSTALLS = re.compile(
    r"(?:\S+ -m ensurepip && )?(?:\S+ -m |(?:\S*/)?uv )?pip (?:un)?install [^;()]+?(?=$|[;()]|, or )"
)
"""A command in a message."""
_NAMED = re.compile(r"--([a-z][a-z-]+)|(?:^settings of \S+: |; )([a-z_]+): ")
"""Settings in a message."""


def look_at_runtime(scene: Scene) -> Sequence[Finding]:
    """Which of the two packages is there, and whether it can use the GPU of this machine."""
    del scene
    both = packages(runtime_packages.onnxruntime_packages())
    if both.mend:
        return [both]
    try:
        runtime = runtime_packages.runtime()
    except Stop as error:
        return [problem("onnxruntime", _before(error), _command_in(error) or runtime_packages.INSTALL_CPU)]
    has_gpu = _NVIDIA.exists() or shutil.which("nvidia-smi") is not None
    return [both, offered(runtime.get_available_providers(), has_gpu=has_gpu)]


def packages(installed: Mapping[str, str]) -> Finding:
    """Whether exactly one of the two is installed: they hold the same files, and the last one wins."""
    if len(installed) > 1:
        text = f"{' and '.join(installed)} are both installed: each overwrites the other's files"
        return problem("onnxruntime", text, runtime_packages.INSTALL_GPU)
    if not installed:
        return problem("onnxruntime", "not installed: no model can run", runtime_packages.ADD_CPU)
    return ok("onnxruntime", ", ".join(f"{name} {number}" for name, number in installed.items()))


def offered(available: Sequence[str], *, has_gpu: bool) -> Finding:
    """Whether the runtime offers what the machine has."""
    names = ", ".join(_short(name) for name in available)
    if has_gpu and providers.CUDA not in available:
        text = f"this machine has an NVIDIA GPU, and this onnxruntime offers {names} only"
        return warning("providers", text, runtime_packages.INSTALL_GPU)
    if not has_gpu and providers.CUDA in available:
        names += ", and no NVIDIA GPU or driver is here: models run on the CPU"
    return ok("providers", names)


def look_at_models(scene: Scene) -> Sequence[Finding]:
    """Open the model of each stage as its worker would."""
    del scene
    from processors.depth import stage as depth
    from processors.detection import stage as detection

    return [
        model(detection.STAGE.settings, detection.Detection, detection.DEMO_MODEL),
        model(depth.STAGE.settings, depth.DepthEstimation, depth.DEMO_MODEL),
    ]


def model(kind: Any, build: Any, demo: str) -> Finding:  # noqa: ANN401 - a stage's settings and processor
    """Whether the model of one stage is there, whole, and runs on what was asked for."""
    from framefuse.settings import load

    subject, variable = f"{kind.section} model", f"FRAMEFUSE_{kind.section.upper()}"
    try:
        settings = load(kind)
        if settings.model is None:
            path = Path(str(files("processors.models") / demo))
            differs = differs_from(_sums(), path)
            if differs:
                return problem(subject, differs, _brings_back(path))
        processor = build(settings)
    except ProviderUnavailable as error:
        return problem(subject, _before(error), f"export {variable}_PROVIDER=auto")
    except FramefuseError as error:
        named = _fields_in(error, kind)
        exports = "; ".join(f"export {variable}_{field.upper()}=…" for field in named)
        mend = _command_in(error) or exports or f"export {variable}_MODEL=FILE.onnx"
        return problem(subject, str(error), mend)
    found = processor.model
    processor.close()
    return ok(subject, f"{found.name} runs on {_short(found.provider)}, sha256 {found.sha256[:12]}…")


def differs_from(sums: Mapping[str, str], path: Path) -> str:
    """How a file of ours is not what it was published as; empty when it is."""
    if not path.is_file():
        return f"{path} is missing"
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    expected = sums.get(path.name, "")
    if found == expected:
        return ""
    return f"{path} has sha256 {found[:12]}…, expected {expected[:12] or 'none'}…: it is damaged or changed"


def _brings_back(path: Path) -> str:
    """What brings back a file that came along with framefuse: from where that was installed."""
    repository = next((one for one in path.parents if (one / ".git").exists()), None)
    if repository is not None:
        return f"git -C {repository} checkout -- {path.relative_to(repository)}"
    where, _ = origin()
    return install("--force-reinstall", "--no-deps", where or "framefuse")


def _sums() -> dict[str, str]:
    """sha256 by name of the files that come along."""
    text = (files("processors.models") / "SHA256SUMS").read_text("utf-8")
    return {name: digest for digest, name in (line.split() for line in text.splitlines() if line.strip())}


def _fields_in(error: FramefuseError, kind: Any) -> list[str]:  # noqa: ANN401 - the settings of a stage
    """The settings that a message asks for, as the flags of a command or as those that do not fit."""
    named = _NAMED.findall(str(error))
    fields = (flag.replace("-", "_") or field for flag, field in named)
    return list(dict.fromkeys(field for field in fields if field in kind.model_fields))


def _command_in(error: FramefuseError) -> str:
    """The command that a message ends with; empty when it has none."""
    found = _INSTALLS.search(str(error))
    return found.group(0).strip() if found else ""


def _before(error: FramefuseError) -> str:
    """A message without the command in it."""
    text = str(error)
    return _INSTALLS.split(text)[0].rstrip(": ")


def _short(provider: str) -> str:
    return provider.removesuffix("ExecutionProvider")


RUNTIME = Check("onnxruntime", look_at_runtime, timeout_s=15.0)
MODELS = Check("models", look_at_models, timeout_s=60.0)
