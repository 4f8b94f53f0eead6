"""Addresses of models, pins, and which files of a repository count."""

from hashlib import sha256
from pathlib import Path

import pytest

from framefuse.errors import ModelUnusable
from processors.model_files.addresses import (
    HubPlace,
    LocalPlace,
    StorePlace,
    WebPlace,
    last_part,
    parse,
    shown,
)
from processors.model_files.choice import only_onnx, refuse_pickle, torch_files
from processors.model_files.hashing import joint_sha256

PIN = "ab" * 32


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("models/yolo.onnx", LocalPlace(Path("models/yolo.onnx"))),
        ("./owner/name", LocalPlace(Path("owner/name"))),
        ("file:///models/yolo.onnx", LocalPlace(Path("/models/yolo.onnx"))),
        ("s3://bucket/a/yolo.onnx", StorePlace("s3://bucket", "a/yolo.onnx")),
        ("gs://bucket/yolo.onnx", StorePlace("gs://bucket", "yolo.onnx")),
        ("az://container/yolo.onnx", StorePlace("az://container", "yolo.onnx")),
        ("https://host/yolo.onnx?key=1", WebPlace("https://host/yolo.onnx?key=1")),
        ("owner/name", HubPlace("owner/name")),
        ("owner/name@v1", HubPlace("owner/name", "v1")),
        ("hf:owner/name@v1:onnx/model.onnx", HubPlace("owner/name", "v1", "onnx/model.onnx")),
        ("hf:owner/yolo.onnx", HubPlace("owner/yolo.onnx")),
        (f"owner/name#sha256:{PIN.upper()}", HubPlace("owner/name", pin=PIN)),
        (f"s3://bucket/yolo.onnx#sha256:{PIN}", StorePlace("s3://bucket", "yolo.onnx", PIN)),
        ("yolo#2.onnx", LocalPlace(Path("yolo#2.onnx"))),
    ],
)
def test_every_kind_of_address_is_known(address: str, place: object) -> None:
    assert parse(address) == place


def test_a_path_that_exists_wins_over_a_hub_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert parse("owner/name") == HubPlace("owner/name")
    (tmp_path / "owner/name").mkdir(parents=True)
    assert parse("owner/name") == LocalPlace(Path("owner/name"))


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("ftp://host/yolo.onnx", "ftp:// is no place for a model: expected a path, s3://"),
        ("s3://bucket", "names no object: name a file, as s3://bucket/path/model.onnx"),
        ("http://127.0.0.1:18473/", r"18473/ is no file: name a file, as http://host/path/model\.onnx"),
        ("https://host", "https://host is no file: name a file"),
        ("https://host/a/%2e%2e?key=1", r"https://host/a/%2e%2e is no file: name a file"),
        ("hf:owner/name:/", "expected hf:owner/name"),
        ("hf:only-a-name", "expected hf:owner/name"),
        ("hf:owner/name:../../etc", "expected hf:owner/name"),
        ("yolo.onnx#sha256:abc", "'abc' is no sha256: expected 64 hex digits"),
        ("yolo.onnx#sha256:", "is no sha256"),
    ],
)
def test_what_is_no_address_is_refused_with_the_kinds_there_are(address: str, reason: str) -> None:
    with pytest.raises(ModelUnusable, match=reason):
        parse(address)


def test_a_pin_may_stand_behind_the_address_or_beside_it_but_not_two_that_differ() -> None:
    assert parse("yolo.onnx", pin=f"sha256:{PIN}").pin == PIN
    assert parse(f"yolo.onnx#sha256:{PIN}", pin=PIN).pin == PIN
    with pytest.raises(ModelUnusable, match="two pins that differ"):
        parse(f"yolo.onnx#sha256:{PIN}", pin="cd" * 32)


def test_an_address_is_shown_without_its_secrets() -> None:
    place = parse("https://me:secret@host:8443/a/yolo.onnx?X-Amz-Signature=secret")
    assert shown(place) == "https://host:8443/a/yolo.onnx"
    assert last_part(place) == "yolo.onnx"
    assert shown(parse("hf:owner/name@v1:a.onnx")) == "hf:owner/name@v1:a.onnx"


def test_of_the_onnx_files_of_a_repository_the_only_or_the_usual_one_is_taken() -> None:
    assert only_onnx(["README.md", "yolo.onnx"], "here") == "yolo.onnx"
    assert only_onnx(["onnx/model.onnx", "onnx/model_fp16.onnx"], "here") == "onnx/model.onnx"
    with pytest.raises(ModelUnusable, match=r"2 ONNX files \(a.onnx, b.onnx\): name one, as hf:o/n:a.onnx"):
        only_onnx(["b.onnx", "a.onnx"], "hf:o/n")
    with pytest.raises(ModelUnusable, match="framefuse models export"):
        only_onnx(["model.safetensors"], "here")


@pytest.mark.parametrize("name", ["m.pt", "M.PTH", "pytorch_model.bin", "a/b.pkl", "m.ckpt", "m.pickle"])
def test_a_pickle_is_refused_unless_it_is_trusted(name: str) -> None:
    with pytest.raises(ModelUnusable, match=r"is a pickle.*--trust-pickle"):
        refuse_pickle(name, trusted=False)
    refuse_pickle(name, trusted=True)


def test_of_a_torch_repository_configuration_and_one_set_of_weights_count_and_never_code() -> None:
    names = ["config.json", "model.safetensors", "model.fp16.safetensors", "modeling.py", "onnx/model.onnx"]
    assert torch_files(names, "here", trust_pickle=False) == ["config.json", "model.safetensors"]
    shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    assert torch_files(["config.json", *shards], "here", trust_pickle=False) == ["config.json", *shards]
    pickled = ["config.json", "pytorch_model.bin"]
    with pytest.raises(ModelUnusable, match=r"pytorch_model\.bin is a pickle"):
        torch_files(pickled, "here", trust_pickle=False)
    assert torch_files(pickled, "here", trust_pickle=True) == pickled
    with pytest.raises(ModelUnusable, match="expected config"):
        torch_files(["config.json"], "here", trust_pickle=False)


def test_the_hash_of_several_files_is_that_of_what_sha256sum_prints() -> None:
    assert joint_sha256({"a": PIN}) == PIN
    both = joint_sha256({"b": "2" * 64, "a": "1" * 64})
    assert both == joint_sha256({"a": "1" * 64, "b": "2" * 64})
    lines = "1" * 64 + "  a\n" + "2" * 64 + "  b\n"
    assert both == sha256(lines.encode()).hexdigest()
