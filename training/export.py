"""From a checkpoint to the committed ONNX file, with all a stranger's code needs written into it.

The detector's shipped threshold is chosen here, on calibration scenes, never on held-out ones.
"""

from pathlib import Path

import onnx
import torch
from torch import nn

from producers.synthetic import LABELS
from training.detections import ANY_LABEL_IOU, SAME_LABEL_IOU, keep_best
from training.nets import DepthNet, Detector
from training.onnx_files import DEPTH, DETECTOR, SUMS, TimedModel, sha256
from training.referee import judge
from training.samples import Shards
from training.shards import CALIBRATION, HEIGHT, WIDTH

OPSET = 17
SKY_M = 80
_BOTH = {
    "author": "framefuse",
    "license": "Apache-2.0",
    "imgsz": f"[{HEIGHT}, {WIDTH}]",
    "stride": "32",
    "batch": "1",
}


def export_detector(checkpoint: Path, data: Path, target: Path = DETECTOR) -> None:
    """Write the detector, then its threshold."""
    _write(_averaged(Detector(len(LABELS), HEIGHT, WIDTH), checkpoint), "output0", target)
    about = _BOTH | {
        "task": "detect",
        "names": str(dict(enumerate(LABELS))),
        "description": "Demo detector for synthetic scenes; knows nothing about photographs",
        "iou": str(SAME_LABEL_IOU),
        "iou_any_label": str(ANY_LABEL_IOU),
    }
    _describe(target, about)
    _describe(target, about | {"confidence": f"{_choose_threshold(target, data):.2f}"})


def export_depth(checkpoint: Path, target: Path = DEPTH) -> None:
    """Write the depth net."""
    _write(_averaged(DepthNet(), checkpoint), "depth", target)
    about = {
        "task": "depth",
        "kind": "METRIC",
        "unit": "m",
        "scale": "1",
        "offset": "0",
        "far": str(SKY_M),
        "description": "Demo depth for synthetic scenes, metres along the view",
    }
    _describe(target, _BOTH | about)


def write_sums() -> None:
    """Write the digests of both files as `sha256sum --check` reads them."""
    SUMS.write_text("".join(f"{sha256(path)}  {path.name}\n" for path in (DETECTOR, DEPTH)))


def _averaged(net: nn.Module, checkpoint: Path) -> nn.Module:
    net.load_state_dict(torch.load(checkpoint, weights_only=True)["average"])
    return net.eval()


def _write(net: nn.Module, output: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    example = (torch.zeros(1, 3, HEIGHT, WIDTH),)
    torch.onnx.export(
        net,
        example,
        str(target),
        input_names=["images"],
        output_names=[output],
        dynamic_axes={"images": {0: "batch"}, output: {0: "batch"}},
        opset_version=OPSET,
        dynamo=False,
    )
    model = onnx.load(target)
    _shorten_names(model.graph, {"images", output})
    with torch.no_grad():
        shape = net(*example).shape
    for dimension, size in zip(model.graph.output[0].type.tensor_type.shape.dim[1:], shape[1:], strict=True):
        dimension.dim_value = size
    onnx.save(model, target)


def _shorten_names(graph: onnx.GraphProto, kept: set[str]) -> None:
    """Replace the exporter's long paths by numbers: tens of kilobytes of a small file."""
    short: dict[str, str] = {name: name for name in kept}

    def shortened(name: str) -> str:
        return short.setdefault(name, f"t{len(short)}") if name else name

    for tensor in graph.initializer:
        tensor.name = shortened(tensor.name)
    for number, node in enumerate(graph.node):
        node.name, node.doc_string = f"n{number}", ""
        node.input[:] = [shortened(name) for name in node.input]
        node.output[:] = [shortened(name) for name in node.output]
    del graph.value_info[:]


def _describe(target: Path, about: dict[str, str]) -> None:
    model = onnx.load(target)
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, about)
    onnx.checker.check_model(model)
    onnx.save(model, target)


def _choose_threshold(target: Path, data: Path) -> float:
    model, shards = TimedModel(target), Shards(data, CALIBRATION)
    indices = range(len(shards))
    found = [keep_best(model.run(shards.image(index)), (WIDTH, HEIGHT)) for index in indices]
    return judge(found, [shards.objects(index) for index in indices], min_side_px=6).best_threshold()
