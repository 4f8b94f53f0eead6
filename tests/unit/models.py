"""Tiny ONNX files whose output is known: a detector that says what it was told, a depth net of brightness."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

Array = npt.NDArray[np.generic]


@dataclass(frozen=True)
class _Graph:
    nodes: Sequence[onnx.NodeProto]
    constants: Mapping[str, Array]
    takes: Sequence[int | str]
    gives: Sequence[int | str]


def a_detector(
    path: Path,
    head: npt.NDArray[np.float32],
    *,
    size: tuple[int | str, int | str] = (32, 64),
    batch: int | str = "batch",
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """A detector that gives `head` ((4 + classes)×N) for each picture, of `size` (height, width)."""
    nodes = [
        helper.make_node("ReduceMean", ["images", "axes"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        helper.make_node("Reshape", ["nothing", "column"], ["column_of_zeros"]),
        helper.make_node("Add", ["head", "column_of_zeros"], ["output0"]),
    ]
    constants: Mapping[str, Array] = {
        "axes": np.array([1, 2, 3], np.int64),
        "zero": np.zeros(1, np.float32),
        "column": np.array([-1, 1, 1], np.int64),
        "head": head[None].astype(np.float32),
    }
    graph = _Graph(nodes, constants, [batch, 3, *size], [batch, *head.shape])
    return _saved(path, graph, metadata)


def a_depth_net(
    path: Path,
    *,
    size: tuple[int | str, int | str] = (32, 64),
    batch: int | str = 1,
    metadata: Mapping[str, str] | None = None,
    element: int = TensorProto.FLOAT,
) -> Path:
    """A net whose depth is the mean of red, green and blue, 0 to 1."""
    nodes = [helper.make_node("ReduceMean", ["images", "axes"], ["depth"], keepdims=1)]
    graph = _Graph(nodes, {"axes": np.array([1], np.int64)}, [batch, 3, *size], [batch, 1, *size])
    return _saved(path, graph, metadata, element)


def with_weights_beside(path: Path, *, smallest: int = 64) -> Path:
    """The same file, with its tensors of at least so many bytes in `…_data` beside it."""
    onnx.save(
        onnx.load(path),
        path,
        save_as_external_data=True,
        location=f"{path.name}_data",
        size_threshold=smallest,
    )
    return path


def _saved(
    path: Path, graph: _Graph, metadata: Mapping[str, str] | None, element: int = TensorProto.FLOAT
) -> Path:
    last = graph.nodes[-1].output[0]
    tiny = helper.make_graph(
        graph.nodes,
        "tiny",
        [helper.make_tensor_value_info("images", element, graph.takes)],
        [helper.make_tensor_value_info(last, element, graph.gives)],
        [numpy_helper.from_array(value, name) for name, value in graph.constants.items()],
    )
    model = helper.make_model(tiny, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(model, dict(metadata or {}))
    onnx.save(model, path)
    return path
