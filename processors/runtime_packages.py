"""The two packages of ONNX Runtime, for the CPU and for NVIDIA's GPUs: which is installed, and is it whole.

Both are the module `onnxruntime` and hold the same files, so exactly one of them may be there; see ADR 8.
"""

from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from framefuse.errors import ModelUnusable
from framefuse.installing import install, uninstall

PACKAGES = ("onnxruntime", "onnxruntime-gpu")
ADD_CPU, ADD_GPU = install("onnxruntime"), install("onnxruntime-gpu[cuda,cudnn]")
"""Where there is none yet."""
INSTALL_GPU = f"{uninstall(*PACKAGES)} && {ADD_GPU}"
INSTALL_CPU = f"{uninstall(*PACKAGES)} && {ADD_CPU}"
"""Where there is one, or both."""


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
        installed = onnxruntime_packages()
        if not installed:
            either = f"{ADD_CPU}, or for an NVIDIA GPU {ADD_GPU}"
            raise ModelUnusable(f"no ONNX Runtime is installed: {either}") from error
        trouble = both_installed(installed) if len(installed) > 1 else f"{' '.join(installed)} does not load"
        raise ModelUnusable(f"{trouble} ({error}): {INSTALL_CPU}") from error
    if not hasattr(onnxruntime, "InferenceSession"):  # what `pip uninstall` of one of two leaves
        raise ModelUnusable(f"onnxruntime is broken, a part of it was uninstalled: {INSTALL_CPU}")
    return onnxruntime


def both_installed(packages: Mapping[str, str]) -> str:
    """What is wrong with two of them."""
    names = " and ".join(f"{name} {number}" for name, number in packages.items())
    return f"{names} are both installed and overwrite each other's files"
