"""One side says nothing, everything stops half-way, and clocks jump."""

import signal
import time
from pathlib import Path

import pytest

from tests.faults.conftest import Judge
from tests.faults.crew import Crew, Post
from tests.faults.test_kills import feeding, until_fed
from tests.faults.verdict import rows_of
from tests.parts.pipeline import Pipeline

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.storm, pytest.mark.timeout(300)]
WORKERS = {"detection": 1, "depth": 1, "join": 1, "object-store": 1}
DEPTH = Post("depth", 0)
_FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")


def test_one_side_silent_for_longer_than_the_wait(pipeline: Pipeline, verdict_on: Judge) -> None:
    crew = Crew(pipeline, WORKERS)
    crew.start_all()
    with feeding(pipeline) as feeder:
        until_fed(feeder, 100)
        crew.kill(DEPTH)
        time.sleep(8)  # the join waits 2 s for a live frame
        crew.start(DEPTH)
        until_fed(feeder, feeder.count + 200)
        acknowledged = feeder.stop()
    verdict = verdict_on(pipeline, acknowledged, store=True)
    assert verdict.outcomes["PARTIAL"] > 0
    assert verdict.outcomes["FUSED"] > len(acknowledged) / 2  # all frames of files, at least


def test_all_input_stops_with_halves_pending(pipeline: Pipeline, verdict_on: Judge) -> None:
    """Live frames end as partial by themselves; those of files, and live ones behind them, wait."""
    crew = Crew(pipeline, WORKERS)
    crew.start_all()
    with feeding(pipeline) as feeder:
        until_fed(feeder, 100)
        crew.kill(DEPTH)
        until_fed(feeder, feeder.count + 100)
        acknowledged = feeder.stop()
    live = [place for place in acknowledged if place[0] == 1]
    waiting = rows_of(pipeline.oracle, "fused", at_least=len(acknowledged), patience_s=8.0)
    decided = {row.place for row in waiting}
    assert decided.issuperset(live), "a live frame waits for a half that never comes"
    assert len(decided) < len(acknowledged), "a frame of a file was decided without its half"

    crew.start(DEPTH)
    verdict_on(pipeline, acknowledged, store=True)


def test_the_join_frozen_while_everything_else_goes_on(pipeline: Pipeline, verdict_on: Judge) -> None:
    crew = Crew(pipeline, WORKERS)
    crew.start_all()
    with feeding(pipeline) as feeder:
        until_fed(feeder, 100)
        crew.running[Post("join", 0)].send_signal(signal.SIGSTOP)
        time.sleep(20)
        crew.running[Post("join", 0)].send_signal(signal.SIGCONT)
        until_fed(feeder, feeder.count + 200)
        acknowledged = feeder.stop()
    verdict_on(pipeline, acknowledged, store=True)


@pytest.mark.skipif(not _FAKETIME.exists(), reason="needs libfaketime: apt-get install faketime")
def test_clocks_that_jump_an_hour_forward_and_back(
    pipeline: Pipeline, tmp_path: Path, verdict_on: Judge
) -> None:
    """The workers' clocks, not the broker's: live frames may expire, and each still ends exactly once."""
    clock = tmp_path / "clock"
    clock.write_text("+0")
    pipeline.set(
        LD_PRELOAD=str(_FAKETIME),
        FAKETIME_TIMESTAMP_FILE=str(clock),
        FAKETIME_NO_CACHE="1",
        FAKETIME_DONT_FAKE_MONOTONIC="1",
        DONT_FAKE_MONOTONIC="1",
    )
    crew = Crew(pipeline, WORKERS)
    crew.start_all()
    with feeding(pipeline) as feeder:
        for step in ("+0", "+3600", "+0", "-3600", "+0"):
            clock.write_text(step)
            until_fed(feeder, feeder.count + 200)
        acknowledged = feeder.stop()
    verdict = verdict_on(pipeline, acknowledged, store=True)
    assert verdict.outcomes["EXPIRED"] > 0, "no clock was ever moved"
    assert verdict.outcomes["FUSED"] > len(acknowledged) / 2
