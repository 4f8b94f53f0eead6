"""Which provider a model runs on, and the proof that it does. Never a CPU where something else was asked for.

ONNX Runtime falls back to the CPU in silence when a provider's libraries or driver do not load, and in the
middle of its work. Both are turned off here; what it says meanwhile on stderr becomes the reason we give.
"""

import logging
import os
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from framefuse.errors import ModelUnusable, ProviderUnavailable, Stop

if TYPE_CHECKING:
    import onnxruntime as ort

log = logging.getLogger("framefuse.onnx")

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
PACKAGES = ("onnxruntime", "onnxruntime-gpu")
INSTALL_GPU = "pip uninstall -y onnxruntime onnxruntime-gpu && pip install onnxruntime-gpu"
INSTALL_CPU = "pip uninstall -y onnxruntime onnxruntime-gpu && pip install onnxruntime"

_ERRORS_ONLY = 3
_SAID = re.compile(r"\[[EW]:onnxruntime:[^\]]*\] (.*)")
_PLACE = re.compile(r"^.*?\[ONNXRuntimeError\] : \d+ : \w+ : (/onnxruntime_src/\S+ .*?\) (?=[A-Z]))?")
_SOURCE = re.compile(r"^/onnxruntime_src/\S+:\d+ .*?\)\s+(?=[A-Z])")
_LIBRARY = re.compile(r"Failed to load library \S*/(\S+) with error: ")


class Provider(StrEnum):
    """What a model runs on; AUTO takes CUDA where it really works, and says so in every result."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


_ORDER: Mapping[Provider, tuple[str, ...]] = {
    Provider.CPU: (CPU,),
    Provider.CUDA: (CUDA, CPU),
}
"""What a session gets; nodes that a provider cannot do go to the next."""
_REASONS = {Provider.AUTO: "it works here", Provider.CUDA: "as asked"}


@dataclass(frozen=True, slots=True)
class Opened:
    """A session whose provider was looked at."""

    session: "ort.InferenceSession"
    provider: str
    """That really is active, as the runtime calls it."""
    reason: str
    """Why this one, for the log."""


def onnxruntime_packages() -> dict[str, str]:
    """Version by name of the installed packages of ONNX Runtime; two are one too many."""
    found = {}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def runtime() -> Any:  # noqa: ANN401 - the module, which has no types
    """The module `onnxruntime`.

    Raises:
        ModelUnusable: it is not installed, or broken.
    """
    try:
        import onnxruntime
    except ImportError as error:
        both = onnxruntime_packages()
        if len(both) > 1:
            raise ModelUnusable(f"{_both(both)} ({error}): {INSTALL_GPU}") from error
        raise ModelUnusable(
            f"no ONNX Runtime that works is installed ({error}): {INSTALL_CPU}, "
            "or onnxruntime-gpu for NVIDIA's"
        ) from error
    if not hasattr(onnxruntime, "InferenceSession"):  # what `pip uninstall` of one of two leaves
        raise ModelUnusable(f"onnxruntime is broken, a part of it was uninstalled: {INSTALL_CPU}")
    return onnxruntime


def open_session(model: bytes, asked: Provider, *, threads: int = 1) -> Opened:
    """A session on what was asked for.

    Args:
        model: the bytes of a file.
        asked: AUTO takes CUDA where it works, else the CPU.
        threads: inside the model, on a CPU, for each thread that calls it.

    Raises:
        ProviderUnavailable: the provider that was asked for is not really active; says why.
        ModelUnusable: the runtime cannot open the file.
    """
    ort = runtime()
    available = ort.get_available_providers()
    check_packages(asked, onnxruntime_packages(), available)
    if asked is Provider.CPU:
        return _on_cpu(model, threads, "as asked")
    if asked is Provider.AUTO and CUDA not in available:
        return _on_cpu(model, threads, "this onnxruntime has no CUDA")
    wanted = _ORDER[Provider.CUDA if asked is Provider.AUTO else asked]
    overheard = Overheard()
    try:
        with overheard:
            _preload()
            session = _session(model, wanted, threads)
        active = session.get_providers()[0]
        if active != wanted[0]:
            raise ProviderUnavailable(_because(overheard.lines))
        return Opened(session, active, f"{_REASONS[asked]}{_placement(session, active)}")
    except Exception as error:  # the runtime's errors have no common class but this
        reason = str(error) if isinstance(error, Stop) else _because([*overheard.lines, str(error)])
        on_cpu = _on_cpu(model, threads, reason)  # or what is wrong with the file itself
        if asked is Provider.AUTO:
            return on_cpu
        raise ProviderUnavailable(
            f"provider {asked} was asked for and is not active: {reason}; mend that, or choose --provider cpu"
        ) from error


def check_packages(asked: Provider, packages: Mapping[str, str], available: Sequence[str]) -> None:
    """Whether what is installed can give what was asked for.

    Raises:
        ProviderUnavailable: it cannot.
    """
    wants_gpu = asked is Provider.CUDA
    if len(packages) > 1:
        if wants_gpu:
            raise ProviderUnavailable(f"provider {asked} was asked for, and {_both(packages)}: {INSTALL_GPU}")
        log.warning("%s: %s", _both(packages), INSTALL_GPU)
    if wants_gpu and _ORDER[asked][0] not in available:
        names = " and ".join(f"{name} {number}" for name, number in packages.items()) or "this onnxruntime"
        raise ProviderUnavailable(
            f"provider {asked} was asked for, {names} has only {', '.join(available)}: "
            f"{INSTALL_GPU}; or choose --provider cpu"
        )


def first_line(error: Exception) -> str:
    """What the runtime says, without the place in its own source code."""
    lines = (str(error).strip() or type(error).__name__).splitlines()
    return _plain(lines[0])


def _on_cpu(model: bytes, threads: int, reason: str) -> Opened:
    session = _session(model, _ORDER[Provider.CPU], threads)
    return Opened(session, session.get_providers()[0], reason)


def _session(model: bytes, names: Sequence[str], threads: int) -> "ort.InferenceSession":
    ort = runtime()
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    if names[0] != CPU:
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    return ort.InferenceSession(model, options, providers=list(names), enable_fallback=0)


def _because(said: Sequence[str]) -> str:
    """The reason in what the runtime said, and what the driver of this machine says."""
    reasons = [_plain(line) for line in said if line.strip()]
    loading = [line for line in reasons if "cannot open shared object" in line]
    reason = (loading or reasons or ["the runtime gave no reason"])[0].rstrip(". ")
    driver = _driver_trouble()
    return f"{reason}; {driver}" if driver and driver not in reason else reason


def _plain(line: str) -> str:
    found = _SAID.search(line)
    text = _SOURCE.sub("", _PLACE.sub("", found.group(1) if found else line))
    text = _LIBRARY.sub(r"\1 does not load: ", text)
    return text.replace("\x1b[m", "").strip()[:400]


def _driver_trouble() -> str:
    """What is wrong with NVIDIA's driver, "" where nothing is."""
    import ctypes

    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "this machine has no NVIDIA driver (libcuda.so.1)"
    code, count = driver.cuInit(0), ctypes.c_int()
    if code == 0:
        code = driver.cuDeviceGetCount(ctypes.byref(count))
    if code != 0:
        return f"NVIDIA's driver does not start (cuInit says {code})"
    return "" if count.value else "NVIDIA's driver finds no GPU"


def _placement(session: "ort.InferenceSession", active: str) -> str:
    """How many nodes run where, as " (120 of 124 nodes)"; "" where the runtime does not tell.

    Raises:
        ProviderUnavailable: the provider is there and got nothing to do.
    """
    if not hasattr(session, "get_provider_graph_assignment_info"):
        return ""
    nodes: Counter[str] = Counter()
    for part in session.get_provider_graph_assignment_info():
        nodes[part.ep_name] += len(part.get_nodes())
    if not nodes:
        return ""
    if not any(name != CPU for name in nodes):
        raise ProviderUnavailable(
            f"{active} can run none of the {nodes[CPU]} nodes of this model: export it in another precision"
        )
    away = nodes[CPU]
    return f" ({sum(nodes.values()) - away} of {sum(nodes.values())} nodes)" if away else ""


def _preload() -> None:
    """Load CUDA and cuDNN from NVIDIA's packages of PyPI, where they are; it prints what it misses."""
    ort = runtime()
    if hasattr(ort, "preload_dlls"):
        with suppress(Exception):  # what is missing shows when the session is opened
            ort.preload_dlls()


def _both(packages: Mapping[str, str]) -> str:
    names = " and ".join(f"{name} {number}" for name, number in packages.items())
    return f"{names} are both installed and overwrite each other's files"


class Overheard:
    """What native code writes to the terminal meanwhile, by `with`.

    Of stderr the lines of ONNX Runtime are kept, others go where they would have gone; stdout is dropped,
    as what is printed there is for people who try things out.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        """Of ONNX Runtime, afterwards."""

    def __enter__(self) -> "Overheard":
        _flush()
        self._kept = {number: os.dup(number) for number in (1, 2)}
        self._caught = {number: tempfile.TemporaryFile() for number in self._kept}  # noqa: SIM115 - see below
        for number, file in self._caught.items():
            os.dup2(file.fileno(), number)
        return self

    def __exit__(self, *_: object) -> None:
        _flush()
        for number, copy in self._kept.items():
            os.dup2(copy, number)
            os.close(copy)
        self._caught[1].close()
        with self._caught[2] as file:
            file.seek(0)
            for line in file.read().decode("utf-8", "replace").splitlines(keepends=True):
                if _SAID.search(line):
                    self.lines.append(line.strip())
                elif line.strip("\n") != "\x1b[m":
                    sys.stderr.write(line)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # a closed one
            stream.flush()
