"""What lies beside an ONNX file that came from transformers: its classes, and how its pictures are fitted.

`config.json` and `preprocessor_config.json` in the folder of the file, or above a folder named onnx, as
Hugging Face repositories have them. Only what is understood whole is taken; the rest is an error.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from framefuse.errors import ModelUnusable
from processors.detection.fitting import Colour, Fitting, Resize

_BILINEAR = 2
_ONE_255TH = 1 / 255


@dataclass(frozen=True, slots=True)
class Beside:
    """What the files say; None where there is none."""

    names: Mapping[int, str] | None = None
    """Of the classes by their numbers."""
    fitting: Fitting | None = None
    size: tuple[int, int] | None = None
    """Height and width of the canvas."""


def read_beside(model: Path) -> Beside:
    """Read what lies beside this file.

    Raises:
        ModelUnusable: a file cannot be read, or says something that is not done here.
    """
    folder = model.parent.parent if model.parent.name == "onnx" else model.parent
    config = _read(folder / "config.json")
    processor = folder / "preprocessor_config.json"
    said = _read(processor)
    names = _names(config)
    if not said:
        return Beside(names)
    return Beside(names, _fitting(said, processor), _size(said, processor))


def _read(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ModelUnusable(f"cannot read {path}: {error}") from None
    if not isinstance(content, dict):
        raise ModelUnusable(f"{path} holds no settings: expected {{…}}")
    return content


def _names(config: Mapping[str, Any]) -> Mapping[int, str] | None:
    names = config.get("id2label")
    if not isinstance(names, dict) or not all(str(number).isdigit() for number in names):
        return None
    return {int(number): str(name) for number, name in names.items()} or None


def _fitting(said: Mapping[str, Any], path: Path) -> Fitting:
    wanted: Mapping[str, tuple[Any, bool]] = {
        "do_resize": (True, said.get("do_resize") is True),
        "resample": (_BILINEAR, said.get("resample", _BILINEAR) == _BILINEAR),
        "do_rescale": (True, said.get("do_rescale") is True),
        "rescale_factor": (_ONE_255TH, abs(said.get("rescale_factor", _ONE_255TH) * 255 - 1) < 1e-6),
        "do_pad": (False, not said.get("do_pad")),
        "do_center_crop": (False, not said.get("do_center_crop")),
    }
    for key, (expected, fits) in wanted.items():
        if not fits:
            raise ModelUnusable(
                f"{path} says {key} is {said.get(key)}, only {expected} is done here for ONNX: "
                "give the folder itself as --model, to run it on torch"
            )
    if not said.get("do_normalize"):
        return Fitting(Resize.STRETCH_SMOOTH)
    return Fitting(Resize.STRETCH_SMOOTH, _colour(said, "image_mean", path), _colour(said, "image_std", path))


def _colour(said: Mapping[str, Any], key: str, path: Path) -> Colour:
    try:
        red, green, blue = map(float, said[key])
    except (KeyError, TypeError, ValueError):
        raise ModelUnusable(f"{path} says {key} is {said.get(key)}, expected three numbers") from None
    return red, green, blue


def _size(said: Mapping[str, Any], path: Path) -> tuple[int, int]:
    size = said.get("size")
    try:
        return int(size["height"]), int(size["width"])  # type: ignore[index]
    except (KeyError, TypeError, ValueError):
        raise ModelUnusable(
            f"{path} says size is {size}, only a height and a width are done here for ONNX: "
            "give the folder itself as --model, to run it on torch"
        ) from None
