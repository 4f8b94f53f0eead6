"""Long runs: what leaks shows, and what was away for long is made good. `make soak`."""

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean

import pytest

from tests.faults.conftest import Judge
from tests.faults.crew import Crew, Post
from tests.faults.test_kills import WORKERS, feeding, join_and_leave, until_fed
from tests.parts.pipeline import Pipeline

pytestmark = [pytest.mark.broker, pytest.mark.soak, pytest.mark.timeout(7200)]
MINUTES = float(os.environ.get("FRAMEFUSE_SOAK_MINUTES", "30"))
_SAMPLE_S = 5.0
_GROWTH = 0.03


@dataclass
class Footprint:
    """Memory and open handles of a process over time."""

    pid: int
    rss_bytes: list[int] = field(default_factory=list)
    handles: list[int] = field(default_factory=list)

    def sample(self) -> None:
        """Look once."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        self.rss_bytes.append(pages * os.sysconf("SC_PAGE_SIZE"))
        self.handles.append(len(list(Path(f"/proc/{self.pid}/fd").iterdir())))

    def growth(self) -> float:
        """Of the memory: last third over middle third, less 1."""
        return _last_third(self.rss_bytes) / _middle_third(self.rss_bytes) - 1

    def more_handles(self) -> float:
        """Last third less middle third."""
        return _last_third(self.handles) - _middle_third(self.handles)


def _middle_third(samples: Sequence[int]) -> float:
    return mean(samples[len(samples) // 3 : 2 * len(samples) // 3])


def _last_third(samples: Sequence[int]) -> float:
    return mean(samples[2 * len(samples) // 3 :])


def test_a_steady_rate_leaves_memory_and_handles_flat(pipeline: Pipeline, verdict_on: Judge) -> None:
    crew = Crew(pipeline, WORKERS)
    crew.start_all()
    footprints = {post: Footprint(process.pid) for post, process in crew.running.items()}
    with feeding(pipeline) as feeder:
        until_s = time.monotonic() + 60 * MINUTES
        while time.monotonic() < until_s:
            time.sleep(_SAMPLE_S)
            assert all(process.poll() is None for process in crew.running.values()), "a worker has died"
            for footprint in footprints.values():
                footprint.sample()
        acknowledged = feeder.stop()
    told = "; ".join(
        f"{post} {_last_third(one.rss_bytes) / 2**20:.0f} MiB {one.growth():+.1%} "
        f"handles {one.more_handles():+.1f}"
        for post, one in footprints.items()
    )
    verdict_on(pipeline, acknowledged, store=True, patience_s=300.0, note=f"{MINUTES:g} min: {told}")
    assert all(one.growth() < _GROWTH for one in footprints.values()), told
    assert all(one.more_handles() < 1 for one in footprints.values()), told


def test_the_join_is_away_for_ten_minutes(pipeline: Pipeline, verdict_on: Judge) -> None:
    crew = Crew(pipeline, {"detection": 1, "depth": 1, "join": 1, "object-store": 1})
    crew.start_all()
    join = Post("join", 0)
    with feeding(pipeline) as feeder:
        until_fed(feeder, 200)
        crew.running[join].send_signal(signal.SIGTERM)
        assert crew.running[join].wait(30) == 0
        time.sleep(600)
        crew.start(join)
        until_fed(feeder, feeder.count + 400)
        acknowledged = feeder.stop()
    verdict_on(pipeline, acknowledged, store=True, patience_s=300.0)


@pytest.mark.parametrize("stage", WORKERS)
def test_a_storm_of_workers_in(stage: str, pipeline: Pipeline, verdict_on: Judge) -> None:
    crew = Crew(pipeline, WORKERS)
    crew.start_all()
    with feeding(pipeline) as feeder:
        join_and_leave(crew, [stage], seconds=120)
        acknowledged = feeder.stop()
    verdict_on(pipeline, acknowledged, store=True)
