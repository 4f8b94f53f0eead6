"""`framefuse models` where torch is installed: the export by hand, and weights that are a real pickle."""

import json
import pickle
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from framefuse.errors import ModelUnusable
from processors.hub.opening import Wish, open_model
from processors.model_files.fetching import FetchOptions
from processors.models_command.app import app
from tests.oracle.seeing import a_texture, as_input
from tests.oracle.test_depth_anything import SIDE, a_depth_anything
from tests.unit.test_pickles import Mark

pytestmark = [
    pytest.mark.skipif(
        find_spec("transformers") is None, reason="transformers is not installed here: make test-oracle"
    ),
    pytest.mark.filterwarnings("ignore"),
]
TRUSTED = FetchOptions(trust_pickle=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small Depth Anything in safetensors."""
    from transformers import DPTImageProcessor

    folder = tmp_path_factory.mktemp("depth-anything")
    a_depth_anything({}).save_pretrained(folder)
    size = {"height": SIDE, "width": SIDE}
    DPTImageProcessor(size=size, keep_aspect_ratio=True, ensure_multiple_of=14).save_pretrained(folder)
    return folder


@pytest.fixture
def pickled(folder: Path, tmp_path: Path) -> Path:
    """The same, as `torch.save` writes it."""
    import torch

    for path in folder.glob("*.json"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    torch.save(a_depth_anything({}).state_dict(), tmp_path / "pytorch_model.bin")
    return tmp_path


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(one) for one in arguments])


def test_a_model_that_was_exported_is_usable_and_the_same(folder: Path, tmp_path: Path) -> None:
    to = tmp_path / "depth.onnx"
    written = json.loads(run("export", folder, "--to", to, "--json").stdout)
    checked = json.loads(run("check", to, "--runs", "1", "--json").stdout)
    assert (checked["usable"], checked["sha256"]) == (True, written["sha256"])
    assert (checked["family"], checked["runtime"], checked["stride"]) == ("RELATIVE_INVERSE", "onnx", 14)
    on_torch = json.loads(run("check", folder, "--runs", "1", "--json").stdout)
    assert (on_torch["runtime"], on_torch["pictures"]) == ("torch", checked["pictures"])
    picture = as_input(a_texture(SIDE, SIDE, seed=2))
    ours, theirs = (open_model(str(one), Wish()).run(picture) for one in (to, folder))
    np.testing.assert_allclose(ours, theirs, rtol=1e-3)


def test_real_pickled_weights_are_loaded_only_where_they_are_trusted(folder: Path, pickled: Path) -> None:
    for refused in (run("check", pickled), run("export", pickled, "--to", pickled / "d.onnx")):
        assert "--trust-pickle" in f"{refused.stderr}{refused.exception}"
    with pytest.raises(ModelUnusable, match=r"pytorch_model\.bin is a pickle"):
        open_model(str(pickled), Wish())
    picture = as_input(a_texture(SIDE, SIDE, seed=2))
    ours, theirs = (open_model(str(one), Wish(), TRUSTED).run(picture) for one in (pickled, folder))
    np.testing.assert_array_equal(ours, theirs)


def test_a_pickle_under_the_name_of_safetensors_is_not_loaded(pickled: Path, tmp_path: Path) -> None:
    mark = tmp_path / "loaded"
    (pickled / "model.safetensors").write_bytes(pickle.dumps(Mark(mark)))
    with pytest.raises(ModelUnusable, match="cannot be loaded"):
        open_model(str(pickled), Wish(), TRUSTED)
    assert not mark.exists()
