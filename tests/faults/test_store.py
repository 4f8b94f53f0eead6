"""The object store refuses, breaks, loses answers and is full; what it keeps is complete all the same."""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.conftest import Judge
from tests.faults.crew import Crew, Post
from tests.faults.test_kills import feeding, until_fed
from tests.parts.faulty_store import FAULTS, FaultyStore
from tests.parts.pipeline import Pipeline
from tests.parts.s3 import S3Server

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.storm, pytest.mark.timeout(300)]
WORKERS = {"detection": 1, "depth": 1, "join": 1, "object-store": 2}


def test_every_second_write_to_the_store_fails(
    pipeline: Pipeline, s3: S3Server, topic_prefix: str, verdict_on: Judge
) -> None:
    with FaultyStore(s3.endpoint) as store:
        pipeline.set(
            FRAMEFUSE_OBJECT_STORE_URL=f"s3://{s3.bucket}/{topic_prefix}", **s3.environment(store.endpoint)
        )
        crew = Crew(pipeline, WORKERS)
        crew.start_all()
        with feeding(pipeline) as feeder:
            while any(store.seen[fault] < 3 for fault in FAULTS):
                time.sleep(0.5)
            crew.kill(Post("object-store", 0))  # and its heir meets the same store
            crew.start(Post("object-store", 0))
            until_fed(feeder, feeder.count + 300)
            acknowledged = feeder.stop()
        verdict_on(pipeline, acknowledged, store=s3.folder / topic_prefix, note=f"writes {dict(store.seen)}")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode != 0:
        pytest.skip("a small disk can be mounted by root only")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_disk_that_is_full_until_there_is_room(
    pipeline: Pipeline, small_disk: Path, verdict_on: Judge
) -> None:
    pipeline.set(FRAMEFUSE_OBJECT_STORE_URL=str(small_disk))
    crew = Crew(pipeline, WORKERS)
    crew.start_all()
    with feeding(pipeline) as feeder:
        full = [post for post in crew.posts if post.stage == "object-store"]
        give_up_s = time.monotonic() + 120
        while not any("is full: make room" in crew.log_of(post) for post in full):
            assert time.monotonic() < give_up_s, "the disk was never full"
            time.sleep(0.5)
        until_fed(feeder, feeder.count + 100)
        subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
        acknowledged = feeder.stop()
    verdict_on(pipeline, acknowledged, store=small_disk)
