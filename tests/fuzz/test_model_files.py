"""Whatever a model file, an address or the cache holds: it is read, or is an error of ours."""

import json
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from framefuse.errors import ModelUnusable
from processors.detection.beside import read_beside
from processors.model_files.addresses import last_part, parse, shown
from processors.model_files.anatomy import NotOnnx, anatomy_of, companions_of
from processors.model_files.cache import Cache, Known
from processors.model_files.mistaken import mistaken_for
from tests.fuzz.mutations import broken, fuzz, texts
from tests.unit.models import a_detector, with_weights_beside

KNOWN = Known("https://host/d.onnx", "d.onnx", "0" * 64, {"d.onnx": '"1"'})
ADDRESSES = (
    "s3://bucket/a/d.onnx#sha256:" + "0" * 64,
    "https://me:secret@host:8443/a/onnx/d.onnx?X-Amz-Signature=secret",
    "hf:owner/name@main:onnx/model.onnx",
    "az://container/d.onnx",
)
SETTINGS = json.dumps(
    {
        "id2label": {"0": "car"},
        "do_resize": True,
        "do_rescale": True,
        "do_normalize": True,
        "image_mean": [0.4, 0.4, 0.4],
        "image_std": [0.2, 0.2, 0.2],
        "size": {"height": 384, "width": 640},
    }
)

_ENTRY = (
    st.sampled_from(["address", "name", "sha256", "versions"]),
    st.none() | st.integers() | st.text(max_size=4) | st.dictionaries(st.text(max_size=2), st.integers()),
)


def a_file(folder: Path) -> bytes:
    path = a_detector(folder / "seed.onnx", np.ones((6, 40), np.float32), metadata={"names": "{0: 'car'}"})
    return with_weights_beside(path).read_bytes()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_broken_model_file_is_looked_into_or_is_none(folder: Path) -> None:
    path = folder / "d.onnx"

    @fuzz
    @given(broken(a_file(folder)))
    def look(content: bytes) -> None:
        with suppress(NotOnnx):
            anatomy_of(memoryview(content))
        path.write_bytes(content)
        mistaken_for(path)
        with suppress(ModelUnusable):
            for name in companions_of(path).weights:
                assert (folder / name).resolve().is_relative_to(folder.resolve())

    look()


@fuzz
@given(texts(*ADDRESSES))
def test_an_address_is_understood_or_refused_and_shows_no_secret(text: str) -> None:
    with suppress(ModelUnusable):
        place = parse(text)
        last_part(place)
        if text.startswith("https://me:secret@host"):
            assert "secret" not in shown(place)


@fuzz
@given(texts(SETTINGS) | st.from_type(int).map(str))
def test_what_lies_beside_a_model_is_read_or_refused(text: str) -> None:
    for name in ("config.json", "preprocessor_config.json"):
        Path(name).write_text(text, "utf-8", errors="replace")
    with suppress(ModelUnusable):
        read_beside(Path("d.onnx"))


def test_a_broken_entry_of_the_cache_is_as_none(folder: Path) -> None:
    cache = Cache(folder / "cache")
    cache.note("key", KNOWN)
    (entry,) = (folder / "cache" / "index").iterdir()

    @fuzz
    @given(texts(json.dumps(asdict(KNOWN))) | st.builds(json.dumps, st.dictionaries(*_ENTRY)))
    def look(text: str) -> None:
        entry.write_text(text, "utf-8", errors="replace")
        found = cache.known("key")
        assert found is None or all(isinstance(name, str) for name in found.versions)
        cache.all_known()

    look()
