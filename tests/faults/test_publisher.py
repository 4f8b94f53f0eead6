"""A publisher is killed again and again: what it was told is accepted is there, and no number is skipped."""

import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from typing import Any

import confluent_kafka as ck
import pytest

from tests.faults.conftest import Judge
from tests.faults.crew import Crew
from tests.faults.verdict import Place
from tests.parts.pipeline import Pipeline, a_picture, plain

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.storm, pytest.mark.timeout(200)]
# Prints a line for each frame that the broker has taken, when it has.
_PUBLISHER = """
import sys
from pathlib import Path
from framefuse.client import FramePublisher
tickets = []
with FramePublisher("door") as publisher:
    while True:
        tickets.append(publisher.publish(Path(sys.argv[1])))
        if len(tickets) > 20:
            ticket = tickets.pop(0)
            place = ticket.wait(30)
            print(place.partition, place.offset, ticket.frame_id, flush=True)
"""


def test_a_publisher_killed_and_restarted(pipeline: Pipeline, verdict_on: Judge) -> None:
    Crew(pipeline, {"detection": 1, "depth": 1, "join": 1, "object-store": 1}).start_all()
    picture = pipeline.folder / "door.jpg"
    picture.write_bytes(a_picture())
    acknowledged: dict[Place, str] = {}
    for _ in range(5):
        acknowledged |= told_before_its_death(pipeline, str(picture))
    log = published(pipeline)

    assert acknowledged.items() <= {place: row["frame_id"] for place, row in log.items()}.items()
    runs: dict[str, list[int]] = {}
    for row in log.values():
        runs.setdefault(row["run_id"], []).append(row["sequence"])
    assert len(runs) == 5
    for numbers in runs.values():
        assert numbers == list(range(len(numbers)))
    assert all(before < after for before, after in pairwise(runs))
    verdict_on(pipeline, {place: row["frame_id"] for place, row in log.items()}, store=True)


def told_before_its_death(pipeline: Pipeline, picture: str) -> dict[Place, str]:
    """What a publisher was told within two seconds of work, until it was killed."""
    environment = {
        **os.environ,
        "FRAMEFUSE_BOOTSTRAP": pipeline.oracle.bootstrap,
        "FRAMEFUSE_PREFIX": pipeline.oracle.prefix,
    }
    with subprocess.Popen(
        [sys.executable, "-c", _PUBLISHER, picture], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline()]
        until_s = time.monotonic() + 2
        while time.monotonic() < until_s:
            lines.append(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.readlines()
    told = [line.split() for line in lines if line.endswith("\n")]
    return {(int(partition), int(offset)): frame_id for partition, offset, frame_id in told}


def published(pipeline: Pipeline) -> dict[Place, dict[str, Any]]:
    """All frames in the log, in its order."""
    topic = f"{pipeline.oracle.prefix}.frames"
    consumer = ck.Consumer(
        {"bootstrap.servers": pipeline.oracle.bootstrap, "group.id": "oracle", "enable.auto.commit": False}
    )
    found = {}
    for partition in consumer.list_topics(topic, timeout=10).topics[topic].partitions:
        low, high = consumer.get_watermark_offsets(ck.TopicPartition(topic, partition), timeout=10)
        consumer.assign([ck.TopicPartition(topic, partition, low)])
        for offset in range(low, high):
            message = consumer.poll(10)
            assert message is not None
            assert message.offset() == offset
            found[partition, offset] = plain(message.value() or b"")
    consumer.close()
    return found
