"""The examples do what they show, on the real broker."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import confluent_kafka as ck
import cv2
import numpy as np
import pytest

from framefuse.broker import jars
from framefuse.broker.home import RunningBroker
from framefuse.kafka import Admin, Reader
from framefuse.pictures.decoding import decode_frame
from framefuse.settings import KafkaSettings
from schemas.codec import SchemaBook, decode
from schemas.records import Encoding, Frame
from tests.parts.logs import Logs
from tests.parts.results import a_fused

pytestmark = pytest.mark.broker
EXAMPLES = Path(__file__).parents[2] / "examples"
JAVA_LOCK = Path(__file__).parents[1] / "parts" / "java_example.lock"
FRAMES = 5


@pytest.fixture
def results(broker: RunningBroker, topic_prefix: str) -> Logs:
    logs = Logs(broker.bootstrap, topic_prefix)
    of_frames = (a_fused(offset) for offset in range(FRAMES))
    logs.fuse(replace(one, frame=replace(one.frame, topic=logs.frames)) for one in of_frames)
    return logs


def test_a_reader_without_our_code_decodes_every_result(results: Logs) -> None:
    strange = ck.Producer({"bootstrap.servers": results.kafka.bootstrap})
    for value in (b"no JSON", b'{"type": "no such type"}', b"[]", None):
        strange.produce(f"{results.kafka.prefix}.schemas", value, key=b"a stranger")
    assert strange.flush(20) == 0
    command = [sys.executable, str(EXAMPLES / "read_fused.py"), str(results.kafka.bootstrap), results.fused]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["frame"]["offset"] for row in rows] == list(range(FRAMES))
    assert {found["label"] for found in rows[0]["objects"]} == {"crate", "ball"}


def test_pictures_are_published_drawn_on_and_listed_from_python(results: Logs, tmp_path: Path) -> None:
    picture = str(tmp_path / "photo.jpg")
    assert cv2.imwrite(picture, np.full((480, 640, 3), 90, np.uint8))

    published = example("publish.py", "gate", picture, picture, kafka=results.kafka)
    better = Logs(str(results.kafka.bootstrap), f"{results.kafka.prefix}-better")
    prefixes = (results.kafka.prefix, better.kafka.prefix)
    copied = example("again.py", str(results.kafka.bootstrap), *prefixes, kafka=results.kafka)
    drawn = tmp_path / "drawn"
    example("draw.py", "gate", str(drawn), kafka=results.kafka)
    told = example("subscribe.py", "gate", kafka=results.kafka)

    assert [line.split(" is ")[1].split(",")[0] for line in published] == ["#0 of gate", "#1 of gate"]
    assert copied == ["2 frames copied"]
    assert sum(Admin(better.kafka).end_offsets(better.frames).values()) == 2
    assert told == [f"gate #{n} fused: crate 2.5 m, ball 2.5 m" for n in range(FRAMES)]
    depths = [np.load(path) for path in drawn.glob("*.npy")]
    assert [(one.dtype.name, one.shape) for one in depths] == [("float32", (2, 4))] * FRAMES
    pictures = [cv2.imread(str(path)) for path in drawn.glob("*.jpg")]
    assert [picture is not None and picture.max() > 100 for picture in pictures] == [True, True]


def test_pictures_go_in_from_asyncio_beside_a_subscriber(results: Logs, tmp_path: Path) -> None:
    picture, broken = tmp_path / "photo.jpg", tmp_path / "broken.jpg"
    assert cv2.imwrite(str(picture), np.full((48, 64, 3), 90, np.uint8))
    broken.write_bytes(b"no picture")

    told = example("asyncio_client.py", "gate", str(broken), str(picture), kafka=results.kafka)

    assert told == [f"published {picture} as {results.frames}-{told[0].rpartition('-')[2]}"]
    assert [one.stream_id for one in published_frames(results)] == ["gate"]


@pytest.mark.skipif(shutil.which("javac") is None, reason="there is no JDK")
def test_a_publisher_in_java_writes_what_our_stages_read(results: Logs, tmp_path: Path) -> None:
    paths = [tmp_path / "photo.jpg", tmp_path / "photo.png"]
    for path in paths:
        assert cv2.imwrite(str(path), np.full((48, 64, 3), 90, np.uint8))
    classpath = os.pathsep.join(map(str, jars.resolve(JAVA_LOCK)))
    program = ["java", "-XX:TieredStopAtLevel=1", "-cp", classpath, str(EXAMPLES / "java" / "Publish.java")]
    done = subprocess.run(
        [*program, str(results.kafka.bootstrap), "gate", *map(str, paths)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=EXAMPLES.parent,
        env={**os.environ, "FRAMEFUSE_PREFIX": results.kafka.prefix},
    )
    assert done.returncode == 0, done.stderr
    frames = published_frames(results)
    assert [(one.stream_id, one.sequence, one.encoding) for one in frames] == [
        ("gate", 0, Encoding.JPEG),
        ("gate", 1, Encoding.PNG),
    ]
    assert len({one.run_id for one in frames}) == 1
    assert [decode_frame(one, max_pixels=10_000).shape for one in frames] == [(48, 64, 3)] * 2


def test_a_record_made_by_hand_is_what_our_stages_read(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    assert cv2.imwrite(str(path), np.full((48, 64, 3), 90, np.uint8))
    command = [sys.executable, str(EXAMPLES / "frame_record.py"), "gate", str(path)]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60, cwd=EXAMPLES.parent)
    frame = decode(done.stdout, Frame, SchemaBook())
    assert (frame.stream_id, frame.sequence, frame.encoding) == ("gate", 0, Encoding.PNG)
    assert decode_frame(frame).shape == (48, 64, 3)


def test_the_java_example_is_built_with_the_versions_it_is_tested_with() -> None:
    pom = (EXAMPLES / "java" / "pom.xml").read_text(encoding="utf-8")
    named = re.findall(
        r"<groupId>(.+)</groupId>\s*<artifactId>(.+)</artifactId>\s*<version>(.+)</version>\s*</dep", pom
    )
    roots = jars.Lock.parse(JAVA_LOCK.read_text("utf-8")).roots
    assert [":".join(parts) for parts in named] == [str(root) for root in roots]


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


def published_frames(logs: Logs) -> list[Frame]:
    """All that is in `frames`."""
    reader = Reader(logs.kafka)
    try:
        messages = list(reader.everything(logs.frames))
    finally:
        reader.close()
    return [decode(message.value, Frame, SchemaBook()) for message in messages]


def example(name: str, *arguments: str, kafka: KafkaSettings) -> list[str]:
    """The lines that an example prints."""
    there = {"FRAMEFUSE_BOOTSTRAP": str(kafka.bootstrap), "FRAMEFUSE_PREFIX": kafka.prefix}
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    environment = {**os.environ, **there}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


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
