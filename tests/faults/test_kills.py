"""Workers die, leave and freeze at every point of their work."""

import signal
import time
from collections.abc import Sequence

import psutil
import pytest

from tests.faults.conftest import Judge
from tests.faults.crew import Crew, Post, Process
from tests.faults.feeding import Feeder
from tests.faults.reading import LiveReader
from tests.parts.pipeline import Pipeline
from tests.parts.waiting import until

pytestmark = [pytest.mark.broker, pytest.mark.slow]
WORKERS = {"detection": 2, "depth": 2, "join": 2, "object-store": 2}
PARTITIONS = 4


def feeding(pipeline: Pipeline, per_second: float = 40.0) -> Feeder:
    topics = pipeline.oracle
    return Feeder(topics.bootstrap, topics.prefix, partitions=PARTITIONS, per_second=per_second)


def test_a_kill_of_each_stage_where_it_hurts_most(pipeline: Pipeline, verdict_on: Judge) -> None:
    """The short cut of what follows, for every run of the tests."""
    crew = Crew(pipeline, dict.fromkeys(WORKERS, 1))
    points = {
        "detection": "offsets-sent",
        "depth": "flushed",
        "join": "committed",
        "object-store": "after-put",
    }
    for post in crew.posts:
        crew.start(post, points[post.stage], nth=3)
    with feeding(pipeline) as feeder:
        crew.keep_up_until(lambda: all(crew.deaths[stage] for stage in WORKERS), 120.0)
        acknowledged = feeder.stop()
    verdict_on(pipeline, acknowledged, store=True)


@pytest.mark.storm
@pytest.mark.timeout(900)
def test_kills_at_every_point_of_every_stage(pipeline: Pipeline, verdict_on: Judge) -> None:
    crew = Crew(pipeline, WORKERS)
    crew.arm(kills=20)
    with feeding(pipeline) as feeder:
        crew.keep_up_until(lambda: all(crew.deaths[stage] >= 20 for stage in WORKERS), 800.0)
        acknowledged = feeder.stop()
    verdict = verdict_on(pipeline, acknowledged, store=True, note=f"{sum(crew.deaths.values())} kills")
    assert verdict.outcomes["FUSED"] > 0


@pytest.mark.storm
@pytest.mark.timeout(300)
def test_a_rolling_restart(pipeline: Pipeline, verdict_on: Judge) -> None:
    crew = Crew(pipeline, WORKERS)
    crew.start_all()
    with feeding(pipeline) as feeder:
        until_fed(feeder, 100)
        for post in crew.posts:
            leaving = crew.running[post]
            leaving.send_signal(signal.SIGTERM)
            assert leaving.wait(30) == 0
            crew.start(post)
            crew.wait_for(post)
        acknowledged = feeder.stop()
    verdict_on(pipeline, acknowledged, store=True)


@pytest.mark.storm
@pytest.mark.timeout(300)
def test_workers_frozen_beyond_their_session_are_fenced_when_they_wake(
    pipeline: Pipeline, verdict_on: Judge
) -> None:
    """One of each stage is stopped at a point where it is about to make something visible."""
    crew = Crew(pipeline, WORKERS)
    crew.start_all()
    points = {"detection": "flushed", "depth": "begun", "join": "offsets-sent", "object-store": "before-put"}
    with feeding(pipeline) as feeder:
        until_fed(feeder, 100)
        frozen = []
        for stage, point in points.items():
            post = Post(stage, 0)
            crew.kill(post)
            frozen.append(crew.start(post, point, nth=5, sign="SIGSTOP"))
        # One that waits for what another holds in an open transaction comes to its point when that has ended.
        until(lambda: all(is_stopped(process) for process in frozen), 90.0, what="all four frozen")
        time.sleep(15)  # a session lasts 6 s, a transaction 10 s and the broker's round of 1 s
        for process in frozen:
            process.send_signal(signal.SIGCONT)
        time.sleep(5)
        acknowledged = feeder.stop()
    verdict_on(pipeline, acknowledged, store=True)
    logs = pipeline.logs()
    for stage in points:
        assert "reads again from its committed position" in logs[f"{stage}-0"], f"{stage} was not fenced"


@pytest.mark.storm
@pytest.mark.timeout(200)
@pytest.mark.parametrize("heir", [Post("join", 0), Post("join", 1)], ids=["its name", "another name"])
def test_a_kill_within_a_transaction_delays_readers_until_it_is_ended_under(
    heir: Post, pipeline: Pipeline, verdict_on: Judge
) -> None:
    """The one who comes back under the same name ends what its dead self left open; else time does."""
    crew = Crew(pipeline, {"detection": 1, "depth": 1, "object-store": 1})
    crew.start_all()
    dying = crew.start(Post("join", 0), "flushed", nth=50)
    with feeding(pipeline) as feeder, LiveReader(pipeline.oracle) as reader:
        assert dying.wait(60) == -signal.SIGKILL
        crew.start(heir)
        until_fed(feeder, feeder.count + 800)
        acknowledged = feeder.stop()
    verdict_on(pipeline, acknowledged, store=True, note=f"readers waited {reader.waited_s:.1f} s")


@pytest.mark.storm
@pytest.mark.timeout(300)
def test_workers_that_join_and_leave_every_three_seconds(pipeline: Pipeline, verdict_on: Judge) -> None:
    crew = Crew(pipeline, WORKERS)
    crew.start_all()
    with feeding(pipeline) as feeder:
        join_and_leave(crew, list(WORKERS), seconds=120)
        acknowledged = feeder.stop()
    verdict_on(pipeline, acknowledged, store=True)


def is_stopped(process: Process) -> bool:
    """Whether a process has been sent SIGSTOP."""
    return psutil.Process(process.pid).status() == psutil.STATUS_STOPPED


def join_and_leave(crew: Crew, stages: Sequence[str], *, seconds: float) -> None:
    """The second worker of these stages comes and goes, for so long."""
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        for stage in stages:
            crew.running[Post(stage, 1)].send_signal(signal.SIGTERM)
        time.sleep(3)
        for stage in stages:
            assert crew.running[Post(stage, 1)].wait(30) == 0
            crew.start(Post(stage, 1))
        for stage in stages:
            crew.wait_for(Post(stage, 1))
        time.sleep(3)


def until_fed(feeder: Feeder, count: int, patience_s: float = 60.0) -> None:
    """Wait until so many frames are acknowledged."""
    until(lambda: feeder.count >= count, patience_s, what=f"{count} frames acknowledged")
