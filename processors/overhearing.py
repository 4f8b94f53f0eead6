"""What ONNX Runtime says when it cannot do what it was told, made into a reason for people.

It writes that to stderr, from native code, and then goes on without; so stderr is listened to meanwhile.
"""

import os
import re
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress

from framefuse.installing import install

_SAID = re.compile(r"\[[EW]:onnxruntime:[^\]]*\] (.*)")
_PLACE = re.compile(r"^.*?\[ONNXRuntimeError\] : \d+ : \w+ : (/onnxruntime_src/\S+ .*?\) (?=[A-Z]))?")
_PATH = re.compile(r"^Load model from .*? failed: ?")
_SOURCE = re.compile(r"^/onnxruntime_src/\S+:\d+ .*?\)\s+(?=[A-Z])")
_FAILURE = re.compile(r"\b[A-Z]+ failure \d+: [^;\n]*")
"""Of CUDA and its libraries, among lines of source code and the name of this host."""
_TOO_OLD = re.compile(r"driver version is insufficient|undefined symbol: cu")
_NO_DEVICE = 100
_LIBRARY = re.compile(r"Failed to load library \S*/(\S+) with error: ")
_MENDS = (
    (_TOO_OLD, "update NVIDIA's driver"),
    (re.compile(r"no NVIDIA driver"), "install NVIDIA's driver"),
    (re.compile(r"driver does not start"), "install NVIDIA's driver anew"),
    (re.compile(r"no NVIDIA driver|finds no GPU"), "give this container the GPU"),
    (re.compile(r"libnv(infer|onnxparser)"), install("tensorrt-cu13<11")),
    (re.compile(r"libcu(?!da\.so)"), install("onnxruntime-gpu[cuda,cudnn]")),
)
"""What brings a part that is missing."""


def first_line(error: Exception) -> str:
    """What the runtime says, without the place in its own source code."""
    lines = (str(error).strip() or type(error).__name__).splitlines()
    return _plain(lines[0])


def reason_in(said: Sequence[str]) -> str:
    """The reason in what the runtime said, and what the driver of this machine says."""
    reasons = [_plain(line) for line in said if line.strip()]
    loading = [line for line in reasons if "cannot open shared object" in line]
    reason = (loading or reasons or ["the runtime gave no reason"])[0].rstrip(". ")
    driver = _driver_trouble()
    if not driver and _TOO_OLD.search(reason):
        driver = f"NVIDIA's driver knows CUDA {_driver_cuda()} at most"
    return f"{reason}; {driver}" if driver else reason


def mends_for(reason: str) -> str:
    """What to do about a reason, as "this; that; or "; empty where nobody knows."""
    mends = [mend for pattern, mend in _MENDS if pattern.search(reason)]
    return "".join(f"{mend}; " for mend in mends) + ("or " if mends else "")


def _plain(line: str) -> str:
    found = _SAID.search(line)
    if failure := _FAILURE.search(line):
        return failure.group(0).strip()
    text = _SOURCE.sub("", _PATH.sub("", _PLACE.sub("", found.group(1) if found else line)))
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
    if code not in (0, _NO_DEVICE):
        return f"NVIDIA's driver does not start (cuInit says {code})"
    return "" if count.value else "NVIDIA's driver finds no GPU"


def _driver_cuda() -> str:
    """The newest CUDA that NVIDIA's driver, which is there, can serve."""
    import ctypes

    number = ctypes.c_int()
    ctypes.CDLL("libcuda.so.1").cuDriverGetVersion(ctypes.byref(number))
    return f"{number.value // 1000}.{number.value % 1000 // 10}"


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
