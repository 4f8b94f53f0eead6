"""What the sink says when its store is full, closed or missing, and that nothing half-written stays."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from framefuse.errors import BadInput, SinkBusy, Stop
from framefuse.settings import KafkaSettings, load
from framefuse.types import SinkContext
from sinks.object_store import STAGE, ObjectStoreSettings, open_store
from sinks.result_store import StoreFull, StoreUnreachable, open_results, translate
from tests.parts.results import CONTEXT

KAFKA = load(KafkaSettings, bootstrap="127.0.0.1:1")


def write_in_own_mount(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run Python where `folder` is a disk of 2 MB."""
    command = f'mount -t tmpfs -o size=2m none "{folder}" && exec "{sys.executable}" -c "$SCRIPT"'
    return subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "bash", "-c", command],
        env={**os.environ, "SCRIPT": script},
        capture_output=True,
        text=True,
        check=False,
    )


def may_mount() -> bool:
    if shutil.which("unshare") is None:
        return False
    probe = ["unshare", "--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not may_mount(), reason="no right to mount a small disk here")
def test_a_full_disk_is_busy_until_there_is_room_and_keeps_no_partial_file(tmp_path: Path) -> None:
    script = f"""
import pathlib
from sinks.result_store import StoreFull, open_results
folder = pathlib.Path({str(tmp_path)!r})
(folder / "filler").write_bytes(bytes(1_000_000))
store = open_results(str(folder))
try:
    store.create("date=2026-03-01/one.parquet", bytes(1_500_000))
except StoreFull as full:
    print(full)
print([path.name for path in folder.rglob("*") if path.is_file()])
(folder / "filler").unlink()
store.create("date=2026-03-01/one.parquet", bytes(1_500_000))
print([path.name for path in folder.rglob("*") if path.is_file()])
"""
    done = write_in_own_mount(tmp_path, script)
    full, before, after = done.stdout.splitlines() or [done.stderr] * 3
    assert f"{tmp_path} is full: make room" in full
    assert (before, after) == ("['filler']", "['one.parquet']")


def test_a_writer_killed_in_the_middle_of_a_put_leaves_no_file_of_that_name(tmp_path: Path) -> None:
    script = (
        "from sinks.result_store import open_results\n"
        f"store = open_results({str(tmp_path)!r}); content = bytes(300_000_000); print('go', flush=True)\n"
        "store.create('date=2026-03-01/one.parquet', content)"
    )
    staging, final = (tmp_path / "date=2026-03-01" / name for name in ("one.parquet#1", "one.parquet"))
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        while writer.poll() is None and not (staging.exists() and staging.stat().st_size > 1_000_000):
            pass
        writer.send_signal(signal.SIGKILL)
    assert not final.exists()
    open_results(str(tmp_path)).create("date=2026-03-01/one.parquet", b"whole")
    assert final.read_bytes() == b"whole"


@pytest.mark.parametrize(
    ("error", "expected", "says"),
    [
        (OSError(28, "No space left on device"), StoreFull, "make room"),
        (OSError(122, "Disk quota exceeded"), StoreFull, "make room"),
        (PermissionError(13, "Permission denied"), Stop, "list, read and write there"),
        (OSError(30, "Read-only file system"), Stop, "list, read and write there"),
        (FileNotFoundError("NoSuchBucket"), Stop, "make the bucket"),
        (OSError("Generic S3 error: PUT http://169.254.169.254/latest"), Stop, "set the credentials"),
        (OSError("Generic S3 error: error sending request\n\nDebug source"), StoreUnreachable, "not take"),
    ],
)
def test_an_error_says_whether_to_wait_or_what_to_mend(
    error: Exception, expected: type[Exception], says: str
) -> None:
    ours = translate(error, "s3://results")
    assert isinstance(ours, expected)
    assert isinstance(ours, SinkBusy) == issubclass(expected, SinkBusy)
    assert says in str(ours)
    assert "s3://results" in str(ours)
    assert "\n" not in str(ours)


def test_a_file_where_the_folder_should_be_stops_the_worker(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("not a folder")
    with pytest.raises(Stop, match="a file stands where the folder should be"):
        open_results(str(tmp_path / "results"))


@pytest.mark.parametrize("url", ["ftp://host/results", "http://host/results", "s3:///"])
def test_a_url_of_another_kind_is_refused(url: str) -> None:
    with pytest.raises(BadInput, match="FRAMEFUSE_OBJECT_STORE_URL"):
        open_results(url)


def test_a_file_url_is_a_folder(tmp_path: Path) -> None:
    open_results(f"file://{tmp_path}/results").create("a.parquet", b"whole")
    assert (tmp_path / "results" / "a.parquet").read_bytes() == b"whole"


def test_a_store_that_does_not_answer_at_start_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in a_server("http://127.0.0.1:1").items():
        monkeypatch.setenv(name, value)
    context = SinkContext(CONTEXT.prefix, CONTEXT.topic_ids, KAFKA)
    open_store(load(ObjectStoreSettings, url="s3://results"), context)
    with pytest.raises(StoreUnreachable, match="error sending request"):
        open_results("s3://results").create("a.parquet", b"x")


def a_server(endpoint: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT": endpoint,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
    }


def test_settings_come_from_the_environment_and_cut_batches_per_partition(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FRAMEFUSE_OBJECT_STORE_URL", "s3://mine/results")
    monkeypatch.setenv("FRAMEFUSE_OBJECT_STORE_MAX_ROWS", "100")
    settings = load(ObjectStoreSettings)
    policy = STAGE.batch(settings)
    assert settings.url == "s3://mine/results"
    assert (policy.max_records, policy.max_bytes, policy.per_partition) == (100, 64 << 20, True)
