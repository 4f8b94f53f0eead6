"""Brokers die and come back, and the network between them and everybody else misbehaves."""

import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.faults.conftest import Judge
from tests.faults.crew import Crew
from tests.faults.feeding import Feeder
from tests.faults.reading import LiveReader
from tests.faults.test_kills import PARTITIONS, feeding, until_fed
from tests.parts.cluster import a_cluster
from tests.parts.pipeline import Pipeline, a_pipeline
from tests.parts.proxy import Proxy, Weather

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.storm, pytest.mark.timeout(400)]
WORKERS: Mapping[str, int] = {"detection": 2, "depth": 2, "join": 1, "object-store": 1}


def test_a_broker_killed_three_times_on_the_same_log(
    tmp_path: Path, topic_prefix: str, verdict_on: Judge
) -> None:
    with (
        a_cluster(tmp_path) as cluster,
        a_pipeline(cluster.bootstrap, topic_prefix, tmp_path) as pipeline,
        a_crew_at_work(pipeline) as feeder,
        LiveReader(pipeline.oracle) as reader,
    ):
        for _ in range(3):
            reader.wait_for_more(200)
            cluster.kill(1)
            time.sleep(2)
            cluster.start(1)
            more(feeder, 200)
        verdict_on(pipeline, feeder.stop(), store=True)


def test_three_brokers_lose_the_leader_and_the_coordinator(
    tmp_path: Path, topic_prefix: str, verdict_on: Judge
) -> None:
    with (
        a_cluster(tmp_path, 3) as cluster,
        a_pipeline(cluster.bootstrap, topic_prefix, tmp_path, replication=3) as pipeline,
        a_crew_at_work(pipeline) as feeder,
        LiveReader(pipeline.oracle) as reader,
    ):
        reader.wait_for_more(200)
        leader = cluster.leader(f"{topic_prefix}.frames", 0)
        cluster.kill(leader)
        more(feeder, 400)
        cluster.start(leader)
        more(feeder, 200)
        reader.wait_for_more(200)
        coordinator = cluster.coordinator(f"{topic_prefix}.detection.detection-0-0")
        cluster.kill(coordinator)
        more(feeder, 400)
        cluster.start(coordinator)
        more(feeder, 200)
        verdict_on(pipeline, feeder.stop(), store=True, note=f"brokers {leader} and {coordinator} killed")


@pytest.mark.parametrize("weather", [Weather.DOWN, Weather.RESET, Weather.SLOW, Weather.SILENT])
def test_a_network_that_is(weather: Weather, tmp_path: Path, topic_prefix: str, verdict_on: Judge) -> None:
    with Proxy() as proxy, a_cluster(tmp_path, advertised=[proxy.port]) as cluster:
        (proxy.to_port,) = cluster.ports
        with (
            a_pipeline(cluster.bootstrap, topic_prefix, tmp_path) as pipeline,
            a_crew_at_work(pipeline) as feeder,
            LiveReader(pipeline.oracle) as reader,
        ):
            for pause_s in (1, 4, 12):  # shorter and longer than a session and a transaction
                reader.wait_for_more(200)
                proxy.change(weather)
                time.sleep(pause_s)
                proxy.change(Weather.FINE)
                more(feeder, 150)
            verdict_on(pipeline, feeder.stop(), store=True)


def a_crew_at_work(pipeline: Pipeline) -> Feeder:
    """All stages, and a publisher that has begun."""
    Crew(pipeline, WORKERS).start_all()
    assert PARTITIONS == 4
    return feeding(pipeline)


def more(feeder: Feeder, count: int) -> None:
    """Until so many more frames are acknowledged."""
    until_fed(feeder, feeder.count + count, patience_s=120.0)
