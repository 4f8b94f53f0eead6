"""Which provider a model runs on, and the proof that it does. Never a CPU where something else was asked for.

ONNX Runtime falls back to the CPU in silence when a provider's libraries or driver do not load, and in the
middle of its work. Both are turned off here; what it says meanwhile becomes our reason (`overhearing.py`).
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from framefuse.errors import ProviderUnavailable, Stop
from processors.overhearing import Overheard, mends_for, reason_in
from processors.runtime_packages import INSTALL_GPU, both_installed, onnxruntime_packages, runtime

if TYPE_CHECKING:
    import onnxruntime as ort

log = logging.getLogger("framefuse.onnx")

CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"

_ERRORS_ONLY = 3


class Provider(StrEnum):
    """What a model runs on; AUTO takes CUDA where it really works, and says so in every result.

    TensorRT is never taken unasked: it builds an engine for minutes, and rounds otherwise.
    """

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    TENSORRT = "tensorrt"


_ORDER: Mapping[Provider, tuple[str, ...]] = {
    Provider.CPU: (CPU,),
    Provider.CUDA: (CUDA, CPU),
    Provider.TENSORRT: (TENSORRT, CUDA, CPU),
}
"""What a session gets; nodes that a provider cannot do go to the next."""


@dataclass(frozen=True, slots=True)
class SessionWish:
    """How a session is opened."""

    threads: int = 1
    """Inside the model, on a CPU, for each thread that calls it."""
    tensorrt: Mapping[str, str] = field(default_factory=dict)
    """Options of TensorRT, by the runtime's names."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A session whose provider was looked at."""

    session: "ort.InferenceSession"
    provider: str
    """That really is active, as the runtime calls it."""
    reason: str
    """Why this one, for the log."""
    fell_back: bool = False
    """AUTO found CUDA, and it did not work."""


def open_session(model: Path, asked: Provider, wish: SessionWish) -> Opened:
    """A session on what was asked for.

    Args:
        model: the file; weights may lie beside it.
        asked: AUTO takes CUDA where it works, else the CPU.
        wish: threads and options.

    Raises:
        ProviderUnavailable: the provider that was asked for is not really active; says why.
        ModelUnusable: the runtime cannot open the file.
    """
    ort = runtime()
    available = ort.get_available_providers()
    check_packages(asked, onnxruntime_packages(), available)
    if asked is Provider.CPU:
        return _on_cpu(model, wish, "as asked")
    if asked is Provider.AUTO and CUDA not in available:
        return _on_cpu(model, wish, "this onnxruntime has no CUDA")
    wanted = _ORDER[Provider.CUDA if asked is Provider.AUTO else asked]
    overheard = Overheard()
    try:
        with overheard:
            _preload()
            session = _session(model, wanted, wish)
        active = session.get_providers()[0]
        if active != wanted[0]:
            raise ProviderUnavailable(reason_in(overheard.lines))
        why = "it works here" if asked is Provider.AUTO else "as asked"
        return Opened(session, active, why + _placement(session, active))
    except Exception as error:  # the runtime's errors have no common class but this
        reason = str(error) if isinstance(error, Stop) else reason_in([*overheard.lines, str(error)])
        on_cpu = _on_cpu(model, wish, reason)  # or what is wrong with the file itself
        if asked is Provider.AUTO:
            return replace(on_cpu, fell_back=True)
        raise ProviderUnavailable(
            f"provider {asked} was asked for and is not active: {reason}: "
            f"{mends_for(reason)}choose --provider cpu"
        ) from error


def check_packages(asked: Provider, packages: Mapping[str, str], available: Sequence[str]) -> None:
    """Whether what is installed can give what was asked for.

    Raises:
        ProviderUnavailable: it cannot.
    """
    wants_gpu = asked in (Provider.CUDA, Provider.TENSORRT)
    if len(packages) > 1:
        trouble = f"{both_installed(packages)}: {INSTALL_GPU}"
        if wants_gpu:
            raise ProviderUnavailable(f"provider {asked} was asked for, and {trouble}")
        log.warning(trouble)
    if wants_gpu and _ORDER[asked][0] not in available:
        names = " and ".join(f"{name} {number}" for name, number in packages.items()) or "this onnxruntime"
        raise ProviderUnavailable(
            f"provider {asked} was asked for, {names} has only {', '.join(available)}: "
            f"{INSTALL_GPU}; or choose --provider cpu"
        )


def _on_cpu(model: Path, wish: SessionWish, reason: str) -> Opened:
    session = _session(model, _ORDER[Provider.CPU], wish)
    return Opened(session, session.get_providers()[0], reason)


def _session(model: Path, names: Sequence[str], wish: SessionWish) -> "ort.InferenceSession":
    ort = runtime()
    options = ort.SessionOptions()
    options.intra_op_num_threads = wish.threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    if names[0] != CPU:
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    providers = [(name, dict(wish.tensorrt)) if name == TENSORRT else name for name in names]
    return ort.InferenceSession(str(model), options, providers=providers, enable_fallback=0)


def _placement(session: "ort.InferenceSession", active: str) -> str:
    """How many nodes run where; "" where the runtime does not tell."""
    if not hasattr(session, "get_provider_graph_assignment_info"):
        return ""
    nodes: Counter[str] = Counter()
    for part in session.get_provider_graph_assignment_info():
        nodes[part.ep_name] += len(part.get_nodes())
    return shares(nodes, active)


def shares(nodes: Mapping[str, int], active: str) -> str:
    """How many nodes run elsewhere, as " (120 of 124 nodes, 4 on the CPU)"; "" where none does.

    Raises:
        ProviderUnavailable: the provider is there and got nothing to do.
    """
    total = sum(nodes.values())
    if total and not nodes.get(active):
        raise ProviderUnavailable(
            f"{active} can run none of the {total} nodes of this model: export it in another precision"
        )
    elsewhere = sorted((name, count) for name, count in nodes.items() if name != active and count)
    others = [f"{count} on {name.removesuffix('ExecutionProvider')}" for name, count in elsewhere]
    return f" ({nodes[active]} of {total} nodes, {', '.join(others)})" if others else ""


def _preload() -> None:
    """Load CUDA, cuDNN and TensorRT from NVIDIA's packages of PyPI, where they are.

    What is missing is printed, and shows once more when the session is opened.
    """
    ort = runtime()
    if hasattr(ort, "preload_dlls"):
        with suppress(Exception):
            ort.preload_dlls()
    with suppress(Exception):
        import_module("tensorrt_libs")
