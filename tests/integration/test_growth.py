"""More partitions for a pipeline that runs: nothing lost, nothing twice, in order, and readers follow."""

import threading
from pathlib import Path

import pytest

from framefuse.broker.home import RunningBroker
from framefuse.client import ResultSubscriber, Start
from framefuse.kafka import Admin
from schemas.topics import FRAMES
from tests.parts.pipeline import a_pipeline, assert_exactly_one_outcome, frames

pytestmark = [pytest.mark.broker, pytest.mark.slow]


def test_a_pipeline_that_grows_while_it_runs_gives_every_frame_one_outcome(
    broker: RunningBroker, topic_prefix: str, tmp_path: Path
) -> None:
    with a_pipeline(broker.bootstrap, topic_prefix, tmp_path, partitions=2) as pipeline:
        for stage, workers in {"detection": "2", "depth": "1", "join": "2"}.items():
            pipeline.start(stage, "--workers", workers)
        acknowledged = []
        feeding = threading.Thread(
            target=lambda: acknowledged.append(pipeline.publish(frames(400), pace_s=0.01))
        )
        with ResultSubscriber(settings=pipeline.kafka, start=Start.NOW) as results:
            feeding.start()
            seen = [results.get(timeout_s=60) for _ in range(50)]  # all stages are at work
            grown = pipeline.run("topics", "grow", "--partitions", "5")
            assert grown.returncode == 0, grown.stderr
            feeding.join()
            assert Admin(pipeline.kafka).partition_count(FRAMES.name(topic_prefix)) == 5
            acknowledged.append(pipeline.publish(frames(200)))
            seen += [results.get(timeout_s=60) for _ in range(550)]
        outcomes = pipeline.oracle.outcomes(at_least=600)
        assert acknowledged == [400, 200]
        assert_exactly_one_outcome(outcomes, 600)
        assert None not in seen
        assert all(len(outcomes[number]) >= 40 for number in range(5))
        assert {row["outcome"] for rows in outcomes.values() for row in rows} == {"FUSED"}
        audit = pipeline.run("audit", "--json")
        assert audit.returncode == 0, audit.stdout


def test_topics_cannot_shrink_and_say_so(broker: RunningBroker, topic_prefix: str, tmp_path: Path) -> None:
    with a_pipeline(broker.bootstrap, topic_prefix, tmp_path, partitions=3) as pipeline:
        refused = pipeline.run("topics", "grow", "--partitions", "2")
    assert refused.returncode == 2
    assert "has 3 partitions, --partitions 2 is not more" in refused.stderr
