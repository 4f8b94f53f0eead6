"""What `framefuse streams list` shows: how streams are, and what comes out of them."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from rich.console import Console

from framefuse.cli.streams_view import print_json, show_rows
from framefuse.streams.declaring import declaration
from framefuse.streams.reading import Reported, Row
from schemas.records import State, StreamState
from schemas.statistics import Statistics
from tests.unit.test_statistics import a_result, told

GATE = declaration("gate", "rtsp://viewer:${GATE}@10.0.0.11/live", fps=10)


def statistics(*, age_s: float = 0.0) -> Statistics:
    """Ten results a second until `age_s` ago."""
    results = [a_result(number, seconds=number / 10, seen={"car": 7.5}) for number in range(300)]
    found, then = told(*results, seconds=30.0), datetime.now(UTC) - timedelta(seconds=age_s)
    return replace(found, updated_at=then, last=replace(found.last, fused_at=then))


def a_row(told: Statistics | None) -> Row:
    now = datetime.now(UTC)
    state = StreamState(
        stream_id="gate",
        run_id="r",
        state=State.RUNNING,
        published=1234,
        dropped=0,
        rejected=0,
        updated_at=now,
    )
    return Row("gate", GATE, Reported(state, now), told)


def shown(*rows: Row) -> list[str]:
    out = StringIO()
    show_rows(Console(file=out, width=80), rows)
    return out.getvalue().splitlines()


def test_a_stream_is_shown_with_its_rate_its_latency_and_its_last_result() -> None:
    heading, line, *_ = shown(a_row(statistics()))

    assert heading.split() == ["stream", "state", "frames", "per", "s", "p95", "last", "source"]
    assert line.split()[:7] == ["gate", "running", "1,234", "10.0", "102", "ms", "now"]


def test_without_the_stage_statistics_there_are_no_empty_columns() -> None:
    heading, line, *_ = shown(a_row(None))

    assert heading.split() == ["stream", "state", "frames", "reported", "source"]
    assert line.split()[:4] == ["gate", "running", "1,234", "now"]


def test_statistics_that_are_told_no_more_are_not_shown_as_if_they_were_of_now() -> None:
    _, line, *rest = shown(a_row(statistics(age_s=600)))

    assert line.split()[3:8] == ["–", "–", "10", "min", "ago"]
    assert "'framefuse watch' shows which stage is behind" in " ".join(" ".join(rest).split())


def test_scripts_get_all_of_the_statistics(capsys: pytest.CaptureFixture[str]) -> None:
    print_json([a_row(statistics()), a_row(None)])

    with_statistics, without = json.loads(capsys.readouterr().out)
    assert with_statistics["statistics"]["nearest"] == {"label": "car", "depth": 7.5, "unit": "m"}
    assert datetime.fromisoformat(with_statistics["statistics"]["last"]["fused_at"]).tzinfo is not None
    assert without["statistics"] is None
