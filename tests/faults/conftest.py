"""A line for each case at the end of the run: what was acknowledged and what became of it."""

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from framefuse.broker.home import RunningBroker
from tests.faults.verdict import Place, Row, Verdict, judge, rows_of, stored_rows
from tests.parts.pipeline import Pipeline, a_pipeline

_VERDICTS: list[str] = []
_SIDES = ("detections", "depth")
Judge = Callable[..., Verdict]
Stored = Callable[[], list[Row]]
"""Reads all rows that a store holds."""


@pytest.fixture
def pipeline(broker: RunningBroker, topic_prefix: str, tmp_path: Path) -> Iterator[Pipeline]:
    with a_pipeline(broker.bootstrap, topic_prefix, tmp_path) as pipeline:
        yield pipeline


@pytest.fixture
def verdict_on(request: pytest.FixtureRequest) -> Judge:
    """Wait for the outcomes, compare, note the line, and fail if anything is not kept."""
    case = request.node.name.removeprefix("test_").replace("_", " ")

    def conclude(
        pipeline: Pipeline,
        acknowledged: dict[Place, str],
        *,
        patience_s: float = 90.0,
        store: Path | Stored | bool = False,
        note: str = "",
    ) -> Verdict:
        def rows(suffix: str) -> list[Row]:
            return rows_of(pipeline.oracle, suffix, at_least=len(acknowledged), patience_s=patience_s)

        fused = rows("fused")
        beside = {side: judge(case, acknowledged, rows(side)) for side in _SIDES}
        stored = store if callable(store) else in_folder(store, pipeline)
        if store:
            wait_until_stored(stored, len(acknowledged), patience_s)
        codes = pipeline.stop()
        if store:
            beside["store"] = judge(case, acknowledged, stored())
        verdict = judge(case, acknowledged, fused, beside)
        _VERDICTS.append(f"{verdict}{f'; {note}' if note else ''}")
        verdict.assert_kept()
        assert {*codes} <= {0, -signal.SIGKILL}, f"a worker ended by itself: {codes}, {pipeline.logs()}"
        return verdict

    return conclude


def in_folder(folder: Path | bool, pipeline: Pipeline) -> Stored:
    """What lies in a folder, by default in that of the pipeline."""
    results = folder if isinstance(folder, Path) else pipeline.folder / "results"
    return lambda: stored_rows(results)


def wait_until_stored(stored: Stored, count: int, patience_s: float) -> None:
    """Until so many rows are there; what is missing then, the verdict tells."""
    give_up_s = time.monotonic() + patience_s
    while len(stored()) < count and time.monotonic() < give_up_s:
        time.sleep(1)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The lines of all cases."""
    if _VERDICTS:
        terminalreporter.section("verdicts")
        for line in _VERDICTS:
            terminalreporter.write_line(line)
