"""The examples do what they show, on the real broker."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from framefuse.broker.home import RunningBroker
from tests.parts.logs import Logs

pytestmark = pytest.mark.broker
EXAMPLES = Path(__file__).parents[2] / "examples"
FRAMES = 5


@pytest.fixture
def results(broker: RunningBroker, topic_prefix: str) -> Logs:
    logs = Logs(broker.bootstrap, topic_prefix)
    logs.fuse(range(FRAMES))
    return logs


def test_a_reader_without_our_code_decodes_every_result(results: Logs) -> None:
    command = [sys.executable, str(EXAMPLES / "read_fused.py"), str(results.kafka.bootstrap), results.fused]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["frame"]["offset"] for row in rows] == list(range(FRAMES))
    assert {found["label"] for found in rows[0]["objects"]} == {"crate", "ball"}


def test_a_stage_of_somebody_elses_package_reads_results_and_writes_what_it_likes(
    results: Logs, tmp_path: Path
) -> None:
    told = tmp_path / "alerts.jsonl"
    options = [
        *("--bootstrap", str(results.kafka.bootstrap), "--prefix", results.kafka.prefix),
        *("--nearer-than-m", "2.6", "--path", str(told)),
    ]
    worker = subprocess.Popen(
        [sys.executable, "-m", "framefuse", "run", "near-alerts", *options],
        env={**os.environ, "PYTHONPATH": str(installed(tmp_path / "packages"))},
    )
    try:
        until_s = time.monotonic() + 60
        while len(lines(told)) < 2 * FRAMES and worker.poll() is None and time.monotonic() < until_s:
            time.sleep(0.1)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(30) == 0
    finally:
        worker.kill()
    found = [json.loads(line) for line in lines(told)]
    assert len(found) == 2 * FRAMES
    assert {(one["label"], one["distance_m"]) for one in found} == {("crate", 2.5), ("ball", 2.5)}


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []


def installed(folder: Path) -> Path:
    """The example as a package of its own; a copy, since building leaves files beside the source."""
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert uv is not None
    source = shutil.copytree(EXAMPLES / "near_alerts", folder.with_name("source"))
    command = [uv, "pip", "install", "--no-deps", "--no-build-isolation", "--python", sys.executable]
    subprocess.run([*command, "--target", str(folder), str(source)], check=True, capture_output=True)
    return folder
