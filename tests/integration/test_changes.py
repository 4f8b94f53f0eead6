"""What changes under a pipeline that runs: its model, and what retention leaves of its frames."""

import json
import subprocess
import threading
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from urllib.request import urlopen

import confluent_kafka as ck
import numpy as np
import pytest
from confluent_kafka.admin import AdminClient

from framefuse.broker.home import RunningBroker
from schemas.topics import FRAMES
from tests.parts.pipeline import Pipeline, a_pipeline, assert_exactly_one_outcome, frames
from tests.parts.ports import free_port
from tests.parts.waiting import until
from tests.unit.models import a_detector

pytestmark = pytest.mark.broker
PARTITIONS = 2


@pytest.fixture
def pipeline(broker: RunningBroker, topic_prefix: str, tmp_path: Path) -> Iterator[Pipeline]:
    with a_pipeline(broker.bootstrap, topic_prefix, tmp_path, partitions=PARTITIONS) as pipeline:
        yield pipeline


def a_version(pipeline: Pipeline, name: str, score: float) -> tuple[Path, str]:
    """A detector that is always this sure, and its sha256."""
    head = np.array([[32, 16, 20, 10, score, 0]] * 2, np.float32).T
    path = a_detector(pipeline.folder / f"{name}.onnx", head)
    return path, sha256(path.read_bytes()).hexdigest()


def test_a_new_model_takes_over_worker_by_worker_and_every_result_says_which_it_was(
    pipeline: Pipeline,
) -> None:
    (old, old_sha256), (new, new_sha256) = a_version(pipeline, "old", 0.75), a_version(pipeline, "new", 0.5)
    acknowledged, done = [0], threading.Event()

    def feed() -> None:
        while not done.is_set():
            acknowledged[0] += pipeline.publish(frames(10), pace_s=0.01)

    def at_work(model: Path) -> None:
        """Start a worker and wait until it is in its group, with a partition or as the next in line."""
        log = f"detection-{sum(name.startswith('detection') for name in pipeline.logs())}"
        workers.append(pipeline.command("run", "detection", log=log, FRAMEFUSE_DETECTION_MODEL=str(model)))
        until(lambda: ": assigned " in pipeline.logs()[log])

    workers: list[subprocess.Popen[bytes]] = []
    pipeline.start("depth")
    pipeline.start("join")
    feeder = threading.Thread(target=feed)
    at_work(old)
    feeder.start()
    try:
        at_work(old)
        for leaving in workers[:2]:
            at_work(new)
            leaving.terminate()
            assert leaving.wait(30) == 0
    finally:
        done.set()
        feeder.join()
    acknowledged[0] += pipeline.publish(frames(2 * PARTITIONS))
    outcomes = pipeline.oracle.outcomes(at_least=acknowledged[0])
    pipeline.stop()

    assert_exactly_one_outcome(outcomes, acknowledged[0])
    rows = [row for rows in outcomes.values() for row in rows]
    assert {row["outcome"] for row in rows} == {"FUSED"}
    said = {(row["detection_model"]["sha256"], row["objects"][0]["score"]) for row in rows}
    assert said == {(old_sha256, 0.75), (new_sha256, 0.5)}
    for of_partition in outcomes.values():
        assert of_partition[0]["detection_model"]["sha256"] == old_sha256
        assert of_partition[-1]["detection_model"]["sha256"] == new_sha256


def test_frames_that_retention_removed_before_a_stage_read_them_are_counted(pipeline: Pipeline) -> None:
    """In each partition: four frames for all, four for detection only, four for nobody; the last eight go."""
    pipeline.start("join")
    detection, depth = pipeline.start("detection"), pipeline.start("depth")
    acknowledged = pipeline.publish(frames(4 * PARTITIONS))
    pipeline.oracle.read("fused", at_least=acknowledged, longer_s=0)
    depth.terminate()
    assert depth.wait(30) == 0
    acknowledged += pipeline.publish(frames(4 * PARTITIONS))
    pipeline.oracle.read("detections", at_least=acknowledged, longer_s=0)
    detection.terminate()
    assert detection.wait(30) == 0
    acknowledged += pipeline.publish(frames(4 * PARTITIONS))
    remove_before(pipeline, 12)
    books = json.loads(pipeline.run("audit", "--json").stdout)
    assert (books["in_flight"], books["in_flight_removed"]) == (16, 16)

    ports = {"detection": free_port(), "depth": free_port()}
    for stage, port in ports.items():
        pipeline.start(stage, "--metrics-port", str(port))
    acknowledged += pipeline.publish(frames(2 * PARTITIONS))
    outcomes = pipeline.oracle.outcomes(at_least=acknowledged)

    assert_exactly_one_outcome(outcomes, acknowledged)
    for rows in outcomes.values():
        assert [row["outcome"] for row in rows] == [
            *["FUSED"] * 4,
            *["PARTIAL"] * 4,
            *["LOST"] * 4,
            *["FUSED"] * 2,
        ]
        assert {(why["side"], why["reason"]) for row in rows[4:8] for why in row["missing"]} == {
            ("DEPTH", "lost: no record")
        }
    assert lost_of(ports["detection"]) == 4 * PARTITIONS
    assert lost_of(ports["depth"]) == 8 * PARTITIONS
    assert "retention removed 8 records" in pipeline.logs()["depth-4"]
    audit = pipeline.run("audit", "--json")
    books = json.loads(audit.stdout)
    assert audit.returncode == 0, audit.stdout
    assert (books["published"], books["fused"], books["partial"], books["lost"]) == (28, 12, 8, 8)
    pipeline.stop()


def remove_before(pipeline: Pipeline, offset: int) -> None:
    """What retention does once it is time."""
    admin = AdminClient({"bootstrap.servers": pipeline.kafka.bootstrap or ""})
    topic = FRAMES.name(pipeline.kafka.prefix)
    answers = admin.delete_records([ck.TopicPartition(topic, number, offset) for number in range(PARTITIONS)])
    assert {answer.result(10).low_watermark for answer in answers.values()} == {offset}


def lost_of(port: int) -> float:
    """What a stage says in its metrics."""
    with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("framefuse_lost_total{"))
