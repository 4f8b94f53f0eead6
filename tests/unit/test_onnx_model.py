import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from framefuse.errors import ModelUnusable
from processors.onnx import OnnxModel
from tests.unit.models import a_depth_net, a_detector, with_weights_beside

HEAD = np.zeros((6, 4), np.float32)


def test_an_open_model_says_who_it_is_and_what_it_takes(tmp_path: Path) -> None:
    path = a_depth_net(tmp_path / "mean.onnx", metadata={"kind": "METRIC", "scale": "2.5"})
    model = OnnxModel(path)
    assert model.identity.name == "mean.onnx"
    assert model.identity.sha256 == sha256(path.read_bytes()).hexdigest()
    assert model.identity.provider == "CPUExecutionProvider"
    assert (model.input.height, model.input.width, model.input.batch) == (32, 64, 1)
    assert model.output_shape == (1, 1, 32, 64)
    assert model.number("scale") == 2.5
    assert model.number("unit") is None


def test_one_model_answers_many_threads_as_it_answers_one(tmp_path: Path) -> None:
    model = OnnxModel(a_depth_net(tmp_path / "mean.onnx"))
    pictures = [np.full((1, 3, 32, 64), value, np.float32) for value in range(40)]
    with ThreadPoolExecutor(4) as pool:
        outputs = list(pool.map(model.run, pictures))
    assert [float(output.mean()) for output in outputs] == list(range(40))


def test_a_half_precision_model_takes_the_same_pictures(tmp_path: Path) -> None:
    model = OnnxModel(a_depth_net(tmp_path / "half.onnx", element=TensorProto.FLOAT16))
    assert model.run(np.full((1, 3, 32, 64), 0.5, np.float32)).dtype == np.float16


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelUnusable, match=r"no model file .*nothing\.onnx"):
        OnnxModel(tmp_path / "nothing.onnx")
    with pytest.raises(ModelUnusable, match="has no ONNX file"):
        OnnxModel(tmp_path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"not a model at all", r"damaged, cut off or no ONNX file \(18 bytes\)"),
        (b"\x08\x0a" * 40, "No graph was found"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "run 'git lfs pull'"),
        (pickle.dumps({"weights": 1}), "a pickle: export the model"),
        (b"PK\x03\x04 archive/data.pkl", "as torch saves its pickles"),
        (b"\x40\x00\x00\x00\x00\x00\x00\x00{}", "a file of safetensors: give the folder"),
        (b"\n<!DOCTYPE html><p>Sign in", "a page of the web"),
    ],
)
def test_a_file_that_is_not_onnx_is_refused_with_what_it_is(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelUnusable, match=rf"bad\.onnx is not a usable ONNX model.*({reason})"):
        OnnxModel(path)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda model: setattr(model, "ir_version", 99), "model: Unsupported model IR version: 99"),
        (lambda model: setattr(model.opset_import[0], "version", 99), r"Opset 99 .* till opset"),
        (lambda model: setattr(model.graph.node[0], "op_type", "Nonsense"), "No Op registered for Nonsense"),
        (
            lambda model: model.graph.input[0].type.tensor_type.shape.dim.pop(),
            r"takes images of .* expected N×3",
        ),
    ],
)
def test_what_cannot_be_opened_is_refused_with_its_reason(
    tmp_path: Path, spoil: Callable[[onnx.ModelProto], object], reason: str
) -> None:
    path = a_depth_net(tmp_path / "spoiled.onnx")
    model = onnx.load(path)
    spoil(model)
    onnx.save(model, path)
    with pytest.raises(ModelUnusable, match=reason):
        OnnxModel(path)


def test_weights_that_lie_beside_a_file_are_its_own(tmp_path: Path) -> None:
    path = with_weights_beside(a_detector(tmp_path / "weights.onnx", HEAD + 3, size=(32, 64)))
    model = OnnxModel(path)
    assert model.run(np.zeros((1, 3, 32, 64), np.float32))[0].tolist() == (HEAD + 3).tolist()
    assert model.identity.sha256 != sha256(path.read_bytes()).hexdigest()
    path.with_name("weights.onnx_data").unlink()
    with pytest.raises(ModelUnusable, match=r"weights.onnx_data, where its weights are, .*: No such file"):
        OnnxModel(path)


def test_a_shape_that_lies_outside_its_file_is_refused_with_the_way_to_save_it(tmp_path: Path) -> None:
    path = with_weights_beside(a_depth_net(tmp_path / "weights.onnx"), smallest=0)
    with pytest.raises(ModelUnusable, match=r"external .*: save it as one file, or with onnx's usual"):
        OnnxModel(path)


@pytest.mark.parametrize("size", [(0, 0), ("h", "w")])
def test_a_model_of_no_pixels_is_refused(tmp_path: Path, size: tuple[int | str, int | str]) -> None:
    path = a_detector(tmp_path / "none.onnx", HEAD, size=size, metadata={"imgsz": "[0, 0]"})
    with pytest.raises(ModelUnusable, match="takes pictures of 0×0 pixels"):
        OnnxModel(path)


def test_a_fixed_batch_is_filled_up_and_only_the_pictures_are_answered(tmp_path: Path) -> None:
    model = OnnxModel(a_depth_net(tmp_path / "four.onnx", batch=4))
    assert (model.input.batch, model.best_batch, model.output_shape) == (4, 4, (1, 1, 32, 64))
    for count in (1, 3, 4):
        pictures = np.full((count, 3, 32, 64), np.arange(count).reshape(-1, 1, 1, 1), np.float32)
        assert [float(depth.mean()) for depth in model.run(pictures)] == list(range(count))


def test_a_batch_of_no_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelUnusable, match="takes 0 pictures a run"):
        OnnxModel(a_depth_net(tmp_path / "none.onnx", batch=0))


def test_a_model_of_other_numbers_is_refused(tmp_path: Path) -> None:
    path = a_depth_net(tmp_path / "double.onnx", element=TensorProto.DOUBLE)
    with pytest.raises(ModelUnusable, match=r"takes tensor\(double\): expected tensor\(float\)"):
        OnnxModel(path)


def test_a_model_of_free_size_takes_the_size_its_metadata_says(tmp_path: Path) -> None:
    free = ("h", "w")
    said = a_depth_net(tmp_path / "said.onnx", size=free, metadata={"imgsz": "[48, 96]"})
    assert OnnxModel(said).output_shape == (1, 1, 48, 96)
    with pytest.raises(ModelUnusable, match="no 'imgsz'"):
        OnnxModel(a_depth_net(tmp_path / "free.onnx", size=free))


def test_metadata_that_cannot_be_read_is_an_error_with_its_key(tmp_path: Path) -> None:
    model = OnnxModel(a_detector(tmp_path / "d.onnx", HEAD, metadata={"names": "{0: ", "iou": "much"}))
    with pytest.raises(ModelUnusable, match="metadata 'names'"):
        model.literal("names")
    with pytest.raises(ModelUnusable, match="metadata 'iou' is 'much', expected a number"):
        model.number("iou")
