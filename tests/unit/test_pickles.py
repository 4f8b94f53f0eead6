"""Real pickles, which leave a mark when somebody loads them: no stage does, whatever they are called."""

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from framefuse.errors import ModelUnusable
from framefuse.settings import load
from processors.depth.stage import DepthEstimation, DepthSettings
from processors.detection.settings import DetectionSettings
from processors.detection.stage import Detection


class Mark:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self._path,)


@pytest.fixture
def marked(tmp_path: Path) -> tuple[bytes, Path]:
    """A pickle, and the file that there is once it was loaded."""
    mark = tmp_path / "loaded"
    return pickle.dumps(Mark(mark)), mark


def start(stage: str, model: Path, **said: object) -> None:
    if stage == "detection":
        Detection(load(DetectionSettings, model=model, **said))
    else:
        DepthEstimation(load(DepthSettings, model=model, **said))


@pytest.mark.parametrize("stage", ["detection", "depth"])
@pytest.mark.parametrize("name", ["yolo.pt", "net.pth", "model.bin", "model.ckpt", "renamed.onnx"])
@pytest.mark.parametrize("trusted", [True, False])
def test_no_stage_loads_a_single_file_that_is_a_pickle(
    tmp_path: Path, marked: tuple[bytes, Path], stage: str, name: str, *, trusted: bool
) -> None:
    content, mark = marked
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelUnusable, match=r"a pickle.*export"):
        start(stage, tmp_path / name, trust_pickle=trusted)
    assert not mark.exists()


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.safetensors"])
def test_a_folder_of_pickled_weights_is_refused_before_anything_is_loaded(
    tmp_path: Path, marked: tuple[bytes, Path], name: str
) -> None:
    content, mark = marked
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "depth_anything"}')
    (folder / name).write_bytes(content)
    with pytest.raises(ModelUnusable):
        start("depth", folder)
    assert not mark.exists()
    if name.endswith(".bin"):
        with pytest.raises(ModelUnusable, match=r"pytorch_model\.bin is a pickle.*--trust-pickle"):
            start("depth", folder)
