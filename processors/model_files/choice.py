"""Which files of a folder or repository make a model, and that none of them is a pickle. Pure."""

import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatch
from pathlib import PurePath, PurePosixPath
from typing import TypeVar

from framefuse.errors import ModelUnusable

AnyPath = TypeVar("AnyPath", bound=PurePath)
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")
SETTINGS = ("config.json", "preprocessor_config.json")
"""What transformers leaves beside a model, or above a folder named onnx: classes, how pictures are made."""
_USUAL_ONNX = ("model.onnx", "onnx/model.onnx")
_CONFIGS = ("*.json", "*.txt", "*.model")
_WEIGHTS = ("*.safetensors",)
_PICKLED_WEIGHTS = ("pytorch_model*.bin",)
_SHARD = re.compile(r"-\d{5}-of-\d{5}")


def refuse_pickle(name: str, *, trusted: bool) -> None:
    """A pickle runs code of whoever made it, so it is loaded only where the user said so.

    Raises:
        ModelUnusable: the file is one by its name.
    """
    if not trusted and PurePosixPath(name).suffix.lower() in PICKLES:
        raise ModelUnusable(
            f"{name} is a pickle, which runs code of whoever made it: take a file in ONNX or safetensors, "
            "or say --trust-pickle if you know where it comes from"
        )


def refuse_torch_file(name: str) -> None:
    """A single file of torch runs nowhere here, whoever is trusted.

    Raises:
        ModelUnusable: it is one by its name.
    """
    if PurePosixPath(name).suffix.lower() in PICKLES:
        raise ModelUnusable(
            f"{name} is a pickle of torch, which nothing here runs: export it to ONNX where you trust it, of "
            f"Ultralytics with 'yolo export model={name} format=onnx'"
        )


def settings_folder(model: AnyPath) -> AnyPath:
    """Where the `SETTINGS` of this model file are."""
    folder = model.parent
    return folder.parent if folder.name == "onnx" else folder


def only_onnx(names: Iterable[str], where: str) -> str:
    """The ONNX file of a repository: the only one, or the one with the usual name.

    Raises:
        ModelUnusable: there is none, or several of which none has the usual name.
    """
    found = sorted(name for name in names if name.endswith(".onnx"))
    if len(found) == 1:
        return found[0]
    for usual in _USUAL_ONNX:
        if usual in found:
            return usual
    if not found:
        raise ModelUnusable(f"{where} has no ONNX file: make one with 'framefuse models export'")
    names_ = ", ".join(found[:12])
    raise ModelUnusable(f"{where} has {len(found)} ONNX files ({names_}): name one, as {where}:{found[0]}")


def torch_files(names: Iterable[str], where: str, *, trust_pickle: bool) -> Sequence[str]:
    """The files of a torch model on the first level: configuration and weights, never code.

    Raises:
        ModelUnusable: there are no weights, or only pickled ones that nobody trusts.
    """
    top = sorted(name for name in names if "/" not in name)
    configs = _matching(top, _CONFIGS)
    weights = _matching(top, _WEIGHTS)
    if not weights:
        weights = _matching(top, _PICKLED_WEIGHTS)
        for name in weights:
            refuse_pickle(f"{where}/{name}", trusted=trust_pickle)
    if "config.json" not in configs or not weights:
        has = ", ".join(top[:12]) or "nothing"
        raise ModelUnusable(f"{where} holds {has}: expected config.json and model.safetensors")
    return [*configs, *_one_set(weights)]


def _matching(names: Sequence[str], patterns: Sequence[str]) -> list[str]:
    return [name for name in names if any(fnmatch(name, pattern) for pattern in patterns)]


def _one_set(weights: Sequence[str]) -> Sequence[str]:
    """`model.safetensors`, or its shards; not the same weights once more in another precision."""
    for name in ("model.safetensors", "pytorch_model.bin"):
        if name in weights:
            return [name]
    return [name for name in weights if _SHARD.search(name)] or weights
