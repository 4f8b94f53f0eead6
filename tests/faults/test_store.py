"""The object store refuses, breaks, loses answers and is full; what it keeps is complete all the same."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from framefuse.kafka import Admin
from schemas.topics import ALL, FRAMES
from tests.faults.conftest import Judge, wait_until_stored
from tests.faults.crew import Crew, Post
from tests.faults.test_kills import PARTITIONS, feeding, until_fed
from tests.faults.verdict import Place, Row, judge, stored_rows
from tests.parts.azure import AzureServer
from tests.parts.faulty_store import FAULTS, FaultyStore
from tests.parts.pipeline import Pipeline
from tests.parts.s3 import S3Server
from tests.parts.waiting import until

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.storm, pytest.mark.timeout(300)]
WORKERS = {"detection": 1, "depth": 1, "join": 1, "object-store": 2}


def test_every_second_write_to_s3_fails(
    pipeline: Pipeline, s3: S3Server, topic_prefix: str, verdict_on: Judge
) -> None:
    with FaultyStore(s3.endpoint) as store:
        pipeline.set(
            FRAMEFUSE_OBJECT_STORE_URL=f"s3://{s3.bucket}/{topic_prefix}", **s3.environment(store.endpoint)
        )
        acknowledged = fed_until_each_fault_was_met(pipeline, store)
        verdict_on(pipeline, acknowledged, store=s3.folder / topic_prefix, note=f"writes {dict(store.seen)}")


def test_every_second_write_to_azure_fails(
    pipeline: Pipeline, azure: AzureServer, topic_prefix: str, verdict_on: Judge, tmp_path: Path
) -> None:
    with FaultyStore(azure.endpoint) as store:
        url = f"az://{azure.container}/{topic_prefix}"
        pipeline.set(FRAMEFUSE_OBJECT_STORE_URL=url, **azure.environment(store.endpoint))
        acknowledged = fed_until_each_fault_was_met(pipeline, store)

        def fetched() -> list[Row]:
            azure.fetch(topic_prefix, tmp_path / "fetched")
            return stored_rows(tmp_path / "fetched")

        verdict_on(pipeline, acknowledged, store=fetched, note=f"writes {dict(store.seen)}")


def fed_until_each_fault_was_met(pipeline: Pipeline, store: FaultyStore) -> dict[Place, str]:
    """Frames while the store fails in every way and a writer is killed; what was acknowledged."""
    crew = Crew(pipeline, WORKERS)
    crew.start_all()
    with feeding(pipeline) as feeder:
        until(lambda: all(store.seen[fault] >= 3 for fault in FAULTS), 180.0, what="each fault")
        crew.kill(Post("object-store", 0))  # and its heir meets the same store
        crew.start(Post("object-store", 0))
        until_fed(feeder, feeder.count + 300)
        return feeder.stop()


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
        words = "is full: make room"
        until(lambda: any(words in crew.log_of(post) for post in full), 120, what="a full disk")
        until_fed(feeder, feeder.count + 100)
        subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
        acknowledged = feeder.stop()
    verdict_on(pipeline, acknowledged, store=small_disk)


def test_topics_made_anew_over_the_old_bucket(pipeline: Pipeline, verdict_on: Judge) -> None:
    """The same prefix and the same store: what is in it stays, and what is new stands beside it."""
    lives = [a_life(pipeline, verdict_on)]
    pipeline.stop()
    make_topics_anew(pipeline)
    lives.append(a_life(pipeline, verdict_on))

    results = pipeline.folder / "results"
    wait_until_stored(lambda: stored_rows(results), sum(len(one) for _, one in lives), 60.0)
    assert len(dict(lives)) == 2
    for frames_id, acknowledged in lives:
        judge("in the store", acknowledged, stored_rows(results, frames_id)).assert_kept()


def a_life(pipeline: Pipeline, verdict_on: Judge) -> tuple[str, dict[Place, str]]:
    """Some frames through all stages: the id of `frames`, and what was acknowledged."""
    Crew(pipeline, WORKERS).start_all()
    with feeding(pipeline) as feeder:
        until_fed(feeder, 200)
        acknowledged = feeder.stop()
    verdict_on(pipeline, acknowledged)
    frames = FRAMES.name(pipeline.kafka.prefix)
    return Admin(pipeline.kafka).topic_ids([frames])[frames], acknowledged


def make_topics_anew(pipeline: Pipeline) -> None:
    """Delete all topics of this prefix, and create them."""
    admin = AdminClient({"bootstrap.servers": pipeline.oracle.bootstrap})
    for deleted in admin.delete_topics([topic.name(pipeline.kafka.prefix) for topic in ALL]).values():
        deleted.result(20)
    created = pipeline.run("topics", "create", "--partitions", str(PARTITIONS))
    assert created.returncode == 0, created.stderr
