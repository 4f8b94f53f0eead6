"""Models from a real S3 server and a real web server: fetched once, pinned, and named in every record."""

from hashlib import sha256
from pathlib import Path

import numpy as np
import obstore
import pytest
from obstore.store import ObjectStore, from_url

from framefuse.broker.home import RunningBroker
from framefuse.errors import ModelUnusable
from processors.model_files.fetching import FetchOptions, LocalModel, fetch_file
from processors.onnx import OnnxModel
from tests.parts.pipeline import a_pipeline, frames
from tests.parts.s3 import S3Server
from tests.unit.models import a_detector, with_weights_beside

HEAD = np.tile(np.array([[32, 16, 20, 10, 0.9, 0]], np.float32).T, 4)


@pytest.fixture
def environment(s3: S3Server) -> dict[str, str]:
    """What a user sets for an S3 server of their own."""
    return {
        "AWS_ENDPOINT": s3.endpoint,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": s3.access_key,
        "AWS_SECRET_ACCESS_KEY": s3.secret,
    }


@pytest.fixture
def url(s3: S3Server, environment: dict[str, str], topic_prefix: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A prefix in a bucket, for this test alone."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return f"s3://{s3.bucket}/{topic_prefix}"


def uploaded(url: str, folder: Path) -> ObjectStore:
    store: ObjectStore = from_url(url, client_options={"allow_http": True})
    for path in folder.rglob("*.*"):
        obstore.put(store, str(path.relative_to(folder)), path.read_bytes())
    return store


def a_folder(tmp_path: Path) -> Path:
    """As transformers and an export of it leave it: classes above, weights beside the file."""
    path = tmp_path / "detr" / "onnx" / "model.onnx"
    path.parent.mkdir(parents=True)
    with_weights_beside(a_detector(path, HEAD))
    (tmp_path / "detr" / "config.json").write_text('{"id2label": {"0": "ball", "1": "car"}}')
    return tmp_path / "detr"


def test_a_model_of_an_s3_bucket_comes_whole_and_once(url: str, tmp_path: Path) -> None:
    options = FetchOptions(cache=tmp_path / "cache")

    def fetch(key: str, pin: str = "") -> LocalModel:
        return fetch_file(f"{url}/{key}{pin and f'#sha256:{pin}'}", options)

    here = fetch_file(str(a_folder(tmp_path)))
    store = uploaded(url, tmp_path / "detr")
    far = fetch("onnx/model.onnx")
    assert far.sha256 == here.sha256
    assert set(far.files) == {"model.onnx", "model.onnx_data", "config.json"}
    assert OnnxModel(far).output_shape == (1, 6, 4)
    written = far.path.stat().st_mtime_ns
    assert fetch_file(url, options).path == far.path  # the prefix has one ONNX file
    assert fetch("onnx/model.onnx", pin=here.sha256).path.stat().st_mtime_ns == written

    with pytest.raises(ModelUnusable, match=f"found sha256 {here.sha256}, expected 0000"):
        fetch("onnx/model.onnx", pin="0" * 64)
    with pytest.raises(ModelUnusable, match="there is no such object"):
        fetch("none.onnx")
    obstore.put(store, "config.json", b'{"id2label": {"0": "cat"}}')
    assert fetch("onnx/model.onnx").sha256 != here.sha256


def test_credentials_that_are_missing_or_wrong_are_named_and_never_told(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "guessed-in-vain")
    with pytest.raises(ModelUnusable, match="credentials that are set may not read it") as refused:
        fetch_file(f"{url}/model.onnx", FetchOptions(cache=tmp_path))
    assert "guessed-in-vain" not in str(refused.value)


@pytest.mark.broker
def test_a_worker_with_a_remote_model_names_it_in_every_record(
    broker: RunningBroker, topic_prefix: str, tmp_path: Path, url: str, environment: dict[str, str]
) -> None:
    path = a_detector(tmp_path / "yolo.onnx", HEAD, metadata={"names": "{0: 'ball', 1: 'car'}"})
    uploaded(url, tmp_path)
    pin = sha256(path.read_bytes()).hexdigest()
    set_ = environment | {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    with a_pipeline(broker.bootstrap, topic_prefix, tmp_path) as pipeline:
        pipeline.start("detection", "--model", f"{url}/yolo.onnx#sha256:{pin}", **set_)
        count = pipeline.publish(frames(8))
        refused = pipeline.run("run", "detection", "--model", f"{url}/yolo.onnx#sha256:{'0' * 64}", **set_)
        records = pipeline.oracle.read("detections", at_least=count)
    named = [row["model"] for rows in records.values() for row in rows]
    assert named == [{"name": "yolo.onnx", "sha256": pin, "provider": "CPUExecutionProvider"}] * count
    assert refused.returncode == 2
    assert f"found sha256 {pin}, expected {'0' * 64}" in refused.stderr
