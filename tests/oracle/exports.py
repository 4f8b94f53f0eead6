"""YOLO files as Ultralytics exports them, of random weights whose scores are spread so that there are boxes.

Needs Ultralytics (AGPL), which only these tests may import.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import onnx

from tests.oracle.seeing import SIZE, a_texture, as_input, see

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

_LOGIT_MEAN, _LOGIT_SPREAD = -7.0, 2.0
"""Of the class scores: about one cell in ten has a class above 0.25."""
_SIDE_MEAN, _SIDE_SPREAD = 2.0, 1.0
"""Of the sides of boxes in cells, where they are not a distribution: a few boxes are inside out."""


def export(
    name: str, folder: Path, *, half: bool = False, int8: bool | str = False, **options: object
) -> Path:
    """An ONNX file of `name` (such as yolov8n), seeded.

    Args:
        name: of a yaml of Ultralytics.
        folder: where it goes.
        half: what it takes and gives is float16, as in a file exported on a GPU.
        int8: its weights are 8 bits, as onnxruntime's dynamic quantization makes them; "calibrated": what
            passes between its layers is too, between pairs of QuantizeLinear and DequantizeLinear.
        options: as for Ultralytics' own `export`.
    """
    import torch
    from onnxruntime.transformers.float16 import convert_float_to_float16

    torch.manual_seed(7)
    model = opened(f"{name}.yaml")
    model.model.eval()
    if name.startswith("rtdetr"):
        see(model.model, model.model)
    else:
        _spread(model.model)
    model.model.pt_path = str(folder / f"{name}.pt")
    settings = {"imgsz": SIZE, "simplify": False, "device": "cpu"} | options
    path = Path(model.export(format="onnx", **settings))
    if half:
        onnx.save(convert_float_to_float16(onnx.load(path), keep_io_types=False), path)
    return path if not int8 else _quantized(path, calibrated=int8 == "calibrated")


def opened(name: str) -> Any:  # noqa: ANN401 - Ultralytics has no types here
    """A yaml or an ONNX file, open in Ultralytics."""
    from ultralytics import RTDETR, YOLO

    return RTDETR(name) if Path(name).stem.startswith("rtdetr") else YOLO(name, task="detect")


def _quantized(path: Path, *, calibrated: bool) -> Path:
    from onnxruntime.quantization import quantize_dynamic, quantize_static

    target = path.with_stem(f"{path.stem}-int8")
    if calibrated:
        quantize_static(path, target, _calibration(), op_types_to_quantize=["Conv"])
    else:
        quantize_dynamic(path, target)
    quantized = onnx.load(target)
    onnx.helper.set_model_props(quantized, {one.key: one.value for one in onnx.load(path).metadata_props})
    onnx.save(quantized, target)
    return target


def _calibration() -> Any:  # noqa: ANN401 - ONNX Runtime has no types here
    """Eight pictures, by which the ranges between layers are found."""
    from onnxruntime.quantization import CalibrationDataReader

    class Textures(CalibrationDataReader):  # type: ignore[misc]  # its base has no types
        def __init__(self) -> None:
            self._seeds = iter(range(100, 108))

        def get_next(self) -> "dict[str, npt.NDArray[np.float32]] | None":
            seed = next(self._seeds, None)
            return None if seed is None else {"images": as_input(a_texture(SIZE, SIZE, seed))}

    return Textures()


def _spread(network: "Module") -> None:
    """Give the last layers of the head weights whose outputs vary over a picture."""
    import torch

    head, picture = network.model[-1], a_texture(SIZE, SIZE, seed=1)
    branches = [(head.cv2, _SIDE_MEAN, _SIDE_SPREAD), (head.cv3, _LOGIT_MEAN, _LOGIT_SPREAD)]
    if hasattr(head, "one2one_cv2"):
        branches += [
            (head.one2one_cv2, _SIDE_MEAN, _SIDE_SPREAD),
            (head.one2one_cv3, _LOGIT_MEAN, _LOGIT_SPREAD),
        ]
    tensor = torch.from_numpy(as_input(picture))
    for branch, mean, spread in branches:
        for level in branch:
            _spread_layer(network, level[-1], tensor, mean, spread)


def _spread_layer(network: "Module", layer: "Module", tensor: "Tensor", mean: float, spread: float) -> None:
    import torch

    seen: list[Tensor] = []
    hook = layer.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    with torch.no_grad():
        layer.weight.normal_()
        layer.bias.zero_()
        network(tensor)
        hook.remove()
        values = seen[0].flatten(2)[0]
        gain = spread / values.std(dim=1)
        layer.weight.mul_(gain[:, None, None, None])
        layer.bias.copy_(mean - gain * values.mean(dim=1))
