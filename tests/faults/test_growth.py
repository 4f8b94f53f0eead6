"""Topics grow one after the other, slowly: a join that owns one side of a partition waits for the other."""

import pytest
from confluent_kafka.admin import AdminClient, NewPartitions  # type: ignore[attr-defined]

from tests.faults.conftest import Judge
from tests.faults.crew import Crew, Post
from tests.faults.test_kills import PARTITIONS, WORKERS, feeding, until_fed
from tests.parts.pipeline import Pipeline
from tests.parts.waiting import until

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.storm, pytest.mark.timeout(300)]
JOINS = (Post("join", 0), Post("join", 1))


def test_a_join_of_which_each_worker_owns_another_side(pipeline: Pipeline, verdict_on: Judge) -> None:
    crew = Crew(pipeline, WORKERS)
    crew.start_all()
    with feeding(pipeline) as feeder:
        until_fed(feeder, 100)
        # Two workers share 4 partitions as 01|23 and 5 as 012|34: number 2 has a side on either.
        grow(pipeline, "depth", PARTITIONS + 1)
        words = "have one side only and wait"
        until(lambda: any(words in crew.log_of(post) for post in JOINS), what=words)
        until_fed(feeder, feeder.count + 200)
        grown = pipeline.run("topics", "grow", "--partitions", str(PARTITIONS + 2))
        assert grown.returncode == 0, grown.stderr
        until_fed(feeder, feeder.count + 600)
        acknowledged = feeder.stop()
    verdict = verdict_on(pipeline, acknowledged, store=True)
    assert verdict.outcomes["FUSED"] > len(acknowledged) / 2  # all frames of files, at least


def grow(pipeline: Pipeline, suffix: str, count: int) -> None:
    """More partitions for one topic alone, as nobody should."""
    admin = AdminClient({"bootstrap.servers": pipeline.oracle.bootstrap})
    topic = f"{pipeline.oracle.prefix}.{suffix}"
    admin.create_partitions([NewPartitions(topic, count)])[topic].result(10)
