"""Fetching models from a real web server and one that speaks as the hub: pins, cache, refusals."""

import logging
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest

from framefuse.errors import ModelUnusable
from processors.model_files.anatomy import Companions, NotOnnx, companions_of, read_anatomy
from processors.model_files.cache import Cache
from processors.model_files.fetching import FetchOptions, LocalModel, fetch_file, fetch_folder
from processors.model_files.model import watched_by
from processors.model_files.remotes import Transfer, Unreachable
from tests.parts.model_server import ModelServer, a_model_server, models
from tests.unit.models import a_depth_net, with_weights_beside

__all__ = ["models"]

ONNX = b"the bytes of a model"
HASH = sha256(ONNX).hexdigest()
OTHER = "0" * 64
SAID = {"kind": "METRIC", "unit": "m"}
TOKEN = "hf_for_tests"  # noqa: S105 - of a server that lives for one test


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, models: ModelServer) -> Path:
    monkeypatch.setenv("HF_ENDPOINT", models.address)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "no-token-here"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    return tmp_path / "cache"


def fetch(address: str, cache: Path, *, pin: str | None = None, max_bytes: int = 1 << 20) -> LocalModel:
    options = FetchOptions(pin, cache=cache, max_bytes=max_bytes, transfer=Transfer(attempts=2))
    return fetch_file(address, options)


def cached(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.iterdir() if path.name != "index")


def test_a_file_of_the_web_is_cached_under_its_content(cache: Path, models: ModelServer) -> None:
    models.files["/a/yolo.onnx"] = ONNX
    model = fetch(f"{models.address}/a/yolo.onnx?key=secret", cache)
    assert (model.name, model.sha256) == ("yolo.onnx", HASH)
    assert model.path == cache / HASH / "yolo.onnx"
    assert model.path.read_bytes() == ONNX
    assert cached(cache) == [HASH]


def test_the_second_start_asks_whether_it_changed(cache: Path, models: ModelServer) -> None:
    models.files["/yolo.onnx"] = ONNX
    address = f"{models.address}/yolo.onnx"
    fetch(address, cache)
    assert fetch(address, cache).sha256 == HASH
    assert models.asked[1][1]["If-None-Match"] == f'"{HASH[:16]}"'
    models.files["/yolo.onnx"] = b"new"
    assert fetch(address, cache).sha256 == sha256(b"new").hexdigest()
    assert len(models.asked) == 3
    assert len(cached(cache)) == 2


def test_a_server_without_etags_is_asked_by_the_date(cache: Path, models: ModelServer) -> None:
    models.files["/yolo.onnx"], models.dates_only = ONNX, True
    for _ in range(2):
        assert fetch(f"{models.address}/yolo.onnx", cache).sha256 == HASH
    assert models.asked[1][1]["If-Modified-Since"] == "Wed, 25 Nov 2026 10:00:00 GMT"


def test_the_same_bytes_under_another_name_are_the_same_model(cache: Path, models: ModelServer) -> None:
    models.files |= {"/download": ONNX, "/yolo.onnx": ONNX}
    first = fetch(f"{models.address}/download", cache)
    for address in (f"{models.address}/yolo.onnx", f"{models.address}/elsewhere.onnx#sha256:{HASH}"):
        again = fetch(address, cache)
        assert (again.path, again.sha256) == (first.path, first.sha256)
    assert again.name == "download"


def test_a_pinned_model_in_the_cache_needs_no_network(cache: Path) -> None:
    with a_model_server() as server:
        server.files["/yolo.onnx"] = ONNX
        address = f"{server.address}/yolo.onnx"
        fetch(f"{address}#sha256:{HASH}", cache)
    assert fetch(f"{address}#sha256:{HASH}", cache).sha256 == HASH
    assert fetch(f"{server.address}/elsewhere.onnx", cache, pin=HASH).name == "yolo.onnx"
    assert fetch("owner/name", cache, pin=HASH).name == "yolo.onnx"


def test_a_place_that_does_not_answer_leaves_what_is_in_the_cache(
    cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with a_model_server() as server:
        server.files["/yolo.onnx"] = ONNX
        address = f"{server.address}/yolo.onnx"
        fetch(address, cache)
    with caplog.at_level(logging.WARNING):
        assert fetch(address, cache).sha256 == HASH
    assert f"using the copy with sha256 {HASH} in the cache" in caplog.text
    with pytest.raises(Unreachable, match="does not answer"):
        fetch(f"{server.address}/never-seen.onnx", cache)


def test_another_content_than_the_pinned_one_is_not_kept(cache: Path, models: ModelServer) -> None:
    models.files["/yolo.onnx"] = ONNX
    with pytest.raises(ModelUnusable, match=f"found sha256 {HASH}, expected {OTHER}"):
        fetch(f"{models.address}/yolo.onnx", cache, pin=OTHER)
    assert cached(cache) == []
    fetch(f"{models.address}/yolo.onnx", cache)
    with pytest.raises(ModelUnusable, match=f"found sha256 {HASH}, expected {OTHER}"):
        fetch(f"{models.address}/yolo.onnx", cache, pin=OTHER)


def test_a_copy_that_was_changed_on_the_disk_is_fetched_again(cache: Path, models: ModelServer) -> None:
    models.files["/yolo.onnx"] = ONNX
    address = f"{models.address}/yolo.onnx"
    fetch(address, cache).path.write_bytes(b"something else")
    assert fetch(address, cache, pin=HASH).path.read_bytes() == ONNX
    fetch(address, cache).path.write_bytes(b"something else")
    assert fetch(address, cache).path.read_bytes() == ONNX


def test_a_connection_that_breaks_leaves_nothing_behind(cache: Path, models: ModelServer) -> None:
    models.files["/yolo.onnx"] = ONNX
    models.cut_after = 5
    with pytest.raises(Unreachable, match=f"broke off after 5 (of|bytes)|broke off after 5 of {len(ONNX)}"):
        fetch(f"{models.address}/yolo.onnx", cache)
    assert cached(cache) == []
    models.cut_after = None
    assert fetch(f"{models.address}/yolo.onnx", cache).sha256 == HASH


def test_many_that_start_at_once_fetch_it_once(cache: Path, models: ModelServer) -> None:
    models.files["/yolo.onnx"] = ONNX * 50_000
    with ThreadPoolExecutor(6) as pool:
        found = list(
            pool.map(lambda _: fetch(f"{models.address}/yolo.onnx", cache, max_bytes=1 << 30), range(6))
        )
    assert len({model.path for model in found}) == 1
    whole = [headers for _, headers in models.asked if "If-None-Match" not in headers]
    assert len(whole) == 1


def test_a_server_that_stumbles_is_asked_again(cache: Path, models: ModelServer) -> None:
    models.files["/yolo.onnx"] = ONNX
    models.failures = [503]
    assert fetch(f"{models.address}/yolo.onnx", cache).sha256 == HASH


def test_more_than_the_limit_is_not_fetched(cache: Path, models: ModelServer) -> None:
    models.files["/yolo.onnx"] = ONNX
    with pytest.raises(ModelUnusable, match="raise --model-max-mb"):
        fetch(f"{models.address}/yolo.onnx", cache, max_bytes=10)
    assert cached(cache) == []


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("{server}/none.onnx", r"none.onnx cannot be fetched: there is no such file \(HTTP 404\)"),
        ("{server}/model.pt", "is a pickle"),
        ("http://example.invalid/yolo.onnx", "is not https"),
        (
            "owner/none",
            r"A private or gated one needs HF_TOKEN \(and there is no such file or folder here\)",
        ),
        ("hf:owner/none", r"is it spelled owner/name\? A private or gated one needs HF_TOKEN$"),
        ("owner/none.onnx", r"no model file owner/none.onnx.*for Hugging Face say hf:owner/none.onnx"),
    ],
)
def test_what_cannot_be_fetched_is_refused_with_its_reason(
    cache: Path, models: ModelServer, address: str, reason: str
) -> None:
    with pytest.raises(ModelUnusable, match=reason):
        fetch(address.format(server=models.address), cache)


def test_a_password_in_an_address_is_in_no_message(cache: Path, models: ModelServer) -> None:
    address = models.address.replace("//", "//me:secret@")
    with pytest.raises(ModelUnusable) as refused:
        fetch(f"{address}/yolo.onnx?signature=secret", cache)
    assert "secret" not in str(refused.value)
    assert models.asked[0][1]["Authorization"] == "Basic bWU6c2VjcmV0"
    models.files["/yolo.onnx"] = ONNX
    fetch(f"{address}/yolo.onnx?signature=secret", cache)
    assert "secret" not in "".join(path.read_text() for path in (cache / "index").iterdir())


def test_a_store_without_credentials_says_which_it_wants(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_USE_EMULATOR"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ModelUnusable, match="set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY"):
        fetch("az://models/yolo.onnx", cache)


# ── Hugging Face ──


def a_repository(models: ModelServer, *names: str, commit: str = "a" * 40) -> None:
    models.commits["owner/name"] = commit
    for name in names:
        models.files[f"/owner/name/{name}"] = ONNX


def test_a_hub_id_gives_its_onnx_file_at_the_commit_it_has(cache: Path, models: ModelServer) -> None:
    a_repository(models, "README.md", "onnx/model.onnx", "onnx/model_fp16.onnx")
    model = fetch("owner/name", cache)
    assert (model.name, model.sha256) == ("owner/name:onnx/model.onnx", HASH)
    assert [path for path, _ in models.asked] == [
        "/api/models/owner/name/revision/main",
        f"/owner/name/resolve/{'a' * 40}/onnx/model.onnx",
    ]
    fetch("owner/name", cache)
    assert len(models.asked) == 3
    models.files["/owner/name/onnx/model_fp16.onnx"] = b"half"
    half = fetch("hf:owner/name@v1:onnx/model_fp16.onnx", cache)
    assert half.name == "owner/name:onnx/model_fp16.onnx"


def test_a_token_goes_to_the_hub_and_not_to_the_host_it_redirects_to(
    cache: Path, models: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_repository(models, "model.onnx")
    models.token = TOKEN
    with pytest.raises(ModelUnusable, match="needs HF_TOKEN"):
        fetch("owner/name", cache)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with a_model_server() as elsewhere:
        elsewhere.files["/owner/name/model.onnx"] = ONNX
        models.redirect_to = elsewhere.address.replace("127.0.0.1", "localhost")
        assert fetch("owner/name", cache).sha256 == HASH
        assert "Authorization" not in elsewhere.asked[0][1]


def test_a_torch_repository_becomes_a_folder_without_code_and_with_one_hash(
    cache: Path, models: ModelServer
) -> None:
    a_repository(models, "config.json", "model.safetensors", "modeling.py", "training_args.bin")
    options = FetchOptions(cache=cache)
    model = fetch_folder("owner/name", options)
    assert model.name == "owner/name"
    assert sorted(path.name for path in model.path.iterdir()) == ["config.json", "model.safetensors"]
    assert fetch_folder(str(model.path), options).sha256 == model.sha256
    assert fetch_folder(f"owner/name#sha256:{model.sha256}", options).path == model.path
    models.commits["owner/name"] = "b" * 40
    models.files["/owner/name/model.safetensors"] = b"new"
    assert fetch_folder("owner/name", options).sha256 != model.sha256


def test_pickled_weights_of_a_repository_are_not_even_fetched(cache: Path, models: ModelServer) -> None:
    a_repository(models, "config.json", "pytorch_model.bin")
    with pytest.raises(ModelUnusable, match=r"pytorch_model\.bin is a pickle"):
        fetch_folder("owner/name", FetchOptions(cache=cache))
    assert len(models.asked) == 1
    trusted = fetch_folder("owner/name", FetchOptions(cache=cache, trust_pickle=True))
    assert trusted.files == ("config.json", "pytorch_model.bin")


# ── what transformers says of an ONNX file ──


def a_detr_repository(models: ModelServer, tmp_path: Path) -> Path:
    """A repository with an ONNX file that says nothing of itself, and the same as a folder here."""
    folder = tmp_path / "here"
    (folder / "onnx").mkdir(parents=True)
    a_depth_net(folder / "onnx" / "model.onnx")
    (folder / "config.json").write_text('{"id2label": {"0": "car"}}')
    (folder / "preprocessor_config.json").write_text("{}")
    models.commits["owner/name"] = "a" * 40
    for path in folder.rglob("*.*"):
        models.files[f"/owner/name/{path.relative_to(folder)}"] = path.read_bytes()
    return folder


def test_classes_and_colours_come_along_with_an_onnx_file_and_count_for_its_hash(
    tmp_path: Path, cache: Path, models: ModelServer
) -> None:
    here = fetch(str(a_detr_repository(models, tmp_path)), cache)
    assert here.files == ("model.onnx", "config.json", "preprocessor_config.json")
    far = [
        fetch(address, cache)
        for address in (
            "owner/name",
            "hf:owner/name:onnx/model.onnx",
            f"{models.address}/owner/name/onnx/model.onnx",
        )
    ]
    assert {model.sha256 for model in far} == {here.sha256}
    assert all(model.path.with_name("config.json").is_file() for model in far)
    assert fetch(f"owner/name#sha256:{here.sha256}", cache).name == "owner/name:onnx/model.onnx"
    alone = sha256(here.path.read_bytes()).hexdigest()
    with pytest.raises(
        ModelUnusable, match=r"the pin is that of model.onnx alone, and config.json, .* count"
    ):
        fetch("owner/name", cache, pin=alone)


def test_settings_that_are_laid_beside_a_file_later_are_noticed(
    tmp_path: Path, cache: Path, models: ModelServer
) -> None:
    address = f"{models.address}/net.onnx"
    models.files["/net.onnx"] = a_depth_net(tmp_path / "net.onnx").read_bytes()
    models.files["/preprocessor_config.json"] = b"<html>a page of an app, for whatever is asked</html>"
    assert fetch(address, cache).files == ("net.onnx",)
    models.files["/config.json"] = b"{}"
    assert fetch(address, cache).files == ("net.onnx", "config.json")
    del models.files["/config.json"]
    assert fetch(address, cache).files == ("net.onnx",)


def test_a_file_that_says_what_it_is_stands_alone(tmp_path: Path, cache: Path, models: ModelServer) -> None:
    path = a_depth_net(tmp_path / "net.onnx", metadata=SAID)
    (tmp_path / "config.json").write_text("{}")
    models.files["/net.onnx"] = path.read_bytes()
    assert fetch(str(path), cache).sha256 == fetch(f"{models.address}/net.onnx", cache).sha256
    assert [path for path, _ in models.asked] == ["/net.onnx"]


# ── on this machine, and with weights beside the file ──


def test_a_local_file_is_used_where_it_is_and_pinned_as_well(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "yolo.onnx"
    path.write_bytes(ONNX)
    assert fetch(f"{path}#sha256:{HASH}", cache).path == path
    with pytest.raises(ModelUnusable, match="not the pinned model"):
        fetch(str(path), cache, pin=OTHER)
    assert fetch(str(tmp_path), cache).path == path
    assert not cache.exists()


def test_weights_beside_a_file_come_along_and_count_for_its_hash(
    tmp_path: Path, cache: Path, models: ModelServer
) -> None:
    path = with_weights_beside(a_depth_net(tmp_path / "net.onnx", metadata=SAID), smallest=0)
    beside = tmp_path / "net.onnx_data"
    assert companions_of(path) == Companions(["net.onnx_data"], settings=False)
    here = fetch(str(path), cache)
    assert here.files == ("net.onnx", "net.onnx_data")
    models.files |= {"/m/net.onnx": path.read_bytes(), "/m/net.onnx_data": beside.read_bytes()}
    far = fetch(f"{models.address}/m/net.onnx", cache)
    assert far.sha256 == here.sha256
    assert far.path.with_name("net.onnx_data").read_bytes() == beside.read_bytes()
    fetch(f"{models.address}/m/net.onnx", cache)
    assert len(models.asked) == 4
    beside.unlink()
    with pytest.raises(ModelUnusable, match=r"net.onnx_data, where its weights are"):
        fetch(str(path), cache)


def test_weights_that_lie_outside_the_folder_are_refused(
    tmp_path: Path, cache: Path, models: ModelServer
) -> None:
    path = with_weights_beside(a_depth_net(tmp_path / "net.onnx"), smallest=0)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"net.onnx_data", b"../../../etcc"))
    with pytest.raises(ModelUnusable, match="expected a file beside it"):
        fetch(str(path), cache)
    models.files["/net.onnx"] = path.read_bytes()
    with pytest.raises(ModelUnusable, match=f"^{models.address}/net.onnx keeps weights in"):
        fetch(f"{models.address}/net.onnx", cache)


def test_the_anatomy_of_a_file_is_read_without_the_onnx_package(tmp_path: Path) -> None:
    anatomy = read_anatomy(a_depth_net(tmp_path / "net.onnx", metadata=SAID))
    assert anatomy.opsets == {"": 18}
    assert (anatomy.weights, anatomy.metadata) == ({"int64": 1}, SAID)
    for content in (b"", b"not a model", b"\x08\x0a" * 40, b"\x3a\xff\xff\xff\xff\x0f"):
        (tmp_path / "bad.onnx").write_bytes(content)
        with pytest.raises(NotOnnx):
            read_anatomy(tmp_path / "bad.onnx")


def test_only_a_write_to_the_cache_is_blamed_on_it(tmp_path: Path, cache: Path, models: ModelServer) -> None:
    models.files["/yolo.onnx"] = ONNX

    def broken(*_: object) -> None:
        raise BrokenPipeError("the terminal is gone")

    with watched_by(broken), pytest.raises(BrokenPipeError):
        fetch(f"{models.address}/yolo.onnx", cache)
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(ModelUnusable, match=r"model cache .*file cannot be written \(.*set XDG_CACHE_HOME"):
        fetch(f"{models.address}/yolo.onnx", file)


def test_the_cache_names_what_it_has(cache: Path, models: ModelServer) -> None:
    models.files["/yolo.onnx"] = ONNX
    fetch(f"{models.address}/yolo.onnx", cache)
    (known,) = Cache(cache).all_known()
    assert (known.address, known.sha256, known.name) == (f"{models.address}/yolo.onnx", HASH, "yolo.onnx")
