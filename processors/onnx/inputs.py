"""What the picture input of an ONNX file takes."""

from ast import literal_eval
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from framefuse.errors import ModelUnusable
from processors.picture_model import InputShape

if TYPE_CHECKING:
    import onnxruntime as ort

_SIZES = "orig_target_sizes"
"""The second input of RT-DETR and D-FINE as their own repositories export them."""
_DTYPES: Mapping[str, type[np.floating[Any]]] = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


def picture_input(
    session: "ort.InferenceSession", path: Path, metadata: Mapping[str, str], size: tuple[int, int] | None
) -> InputShape:
    """The input of an open file.

    Args:
        session: of the file.
        path: of the file, for messages.
        metadata: of the file.
        size: height and width for a file of free size whose metadata has no `imgsz`.

    Raises:
        ModelUnusable: it takes something else than pictures.
    """
    inputs = session.get_inputs()
    sizes_name = next(
        (one.name for one in inputs if one.name == _SIZES and one.type == "tensor(int64)"), None
    )
    pictures = [one for one in inputs if one.name != sizes_name]
    if len(pictures) != 1:
        names = ", ".join(one.name for one in inputs)
        raise ModelUnusable(f"{path} has {len(inputs)} inputs ({names}): expected one, the picture")
    (only,) = pictures
    shape = only.shape
    if len(shape) != 4 or (shape[1] != 3 and isinstance(shape[1], int)):
        raise ModelUnusable(f"{path} takes {only.name} of shape {shape}: expected N×3×height×width")
    if only.type not in _DTYPES:
        raise ModelUnusable(f"{path} takes {only.type}: expected {' or '.join(_DTYPES)}")
    batch = shape[0] if isinstance(shape[0], int) else None
    if batch is not None and batch < 1:
        raise ModelUnusable(f"{path} takes {batch} pictures a run: export it with batch 1 or a free batch")
    fixed = [isinstance(side, int) for side in shape[2:]]
    height, width = shape[2:] if all(fixed) else _said(path, metadata, size)
    if min(height, width) < 1:
        raise ModelUnusable(f"{path} takes pictures of {width}×{height} pixels: export it with a real size")
    return InputShape(
        only.name, height, width, _DTYPES[only.type], batch, any_size=not any(fixed), sizes_name=sizes_name
    )


def _said(path: Path, metadata: Mapping[str, str], size: tuple[int, int] | None) -> tuple[int, int]:
    """Height and width from the metadata `imgsz`, else `size`, for a file of free size."""
    if size is not None and "imgsz" not in metadata:
        return size
    try:
        height, width = literal_eval(metadata["imgsz"])
        return int(height), int(width)
    except (KeyError, ValueError, TypeError, SyntaxError):
        raise ModelUnusable(
            f"{path} takes any height and width, and its metadata has no 'imgsz' like '[640, 640]': "
            "export it with a fixed size"
        ) from None
