"""Whoever may write to a topic moves no cursor, and hides no text, on the terminal of who reads it."""

import json
import logging
import re
from collections.abc import Callable
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from framefuse import logs
from framefuse.cli.dashboard import render
from framefuse.cli.dead_letters_view import (
    Replayed,
    show_dismissed,
    show_letter,
    show_plan,
    show_sums,
    show_table,
    show_unsent,
)
from framefuse.cli.doctor import _show as show_findings
from framefuse.cli.ending import end_with
from framefuse.cli.screen import JsonLines, line
from framefuse.cli.streams_view import show_changes, show_rows
from framefuse.cli.watch import _silence
from framefuse.dead_letters.cases import Case
from framefuse.doctor.findings import Scene, warning
from framefuse.errors import Stop
from framefuse.results.recent_errors import RecentError
from framefuse.results.standing import Standing
from framefuse.results.watching import Watch
from framefuse.settings import KafkaSettings
from framefuse.streams.declaring import Changes
from framefuse.streams.reading import Reported, Row
from framefuse.terminal import printable
from schemas.records import DeadLetter, Fused, Header, Missing, Outcome, Side, State, Stream, StreamState
from schemas.statistics import Statistics
from tests.parts.results import a_fused
from tests.unit.builders import a_frame, at
from tests.unit.test_dead_letters import a_letter
from tests.unit.test_statistics import a_result, told

HOSTILE = "\x1b]0;gone\x07\x1b[2J\x9b31m\x7f\r\u202e[/]\N{LINE SEPARATOR}"
SEEN = r"\x1b]0;gone\x07\x1b[2J\x9b31m\x7f\r\u202e[/]\u2028"


def shown(show: Callable[[Console], object]) -> str:
    """What a terminal gets, but for colours."""
    out = StringIO()
    show(Console(file=out, width=400, highlight=False))
    return out.getvalue()


def assert_harmless(text: str) -> None:
    assert text
    assert not {char for char in text.replace("\n", "") if not char.isprintable()}


def test_what_a_terminal_would_act_upon_is_seen_instead() -> None:
    assert printable(HOSTILE) == SEEN
    assert printable("one\ntwo\tthree\x00\udc80") == r"one\ntwo\tthree\x00\udc80"


def test_text_of_people_stays_as_it_is() -> None:
    for text in (
        "",
        "Füße, 7.3 m",
        "門 1",
        "गेट",
        "🚗 \\x1b",
        "1\N{NO-BREAK SPACE}m",
        "門\N{IDEOGRAPHIC SPACE}1",
    ):
        assert printable(text) == text


# ── dead letters ──


def hostile_letters() -> list[Case]:
    """One about a frame, one about a record that is none."""
    frame = replace(a_frame(HOSTILE), frame_id=HOSTILE, run_id=HOSTILE)
    letters = [
        replace(
            a_letter(number, known, stage=f"depth{HOSTILE}", error=f"Failed{HOSTILE}", topic=f"t.{HOSTILE}"),
            message=f"bad {HOSTILE}",
            version=HOSTILE,
            obstacle=None if known else f"no frame {HOSTILE}",
        )
        for number, known in enumerate((frame, None))
    ]
    return [Case([letter]) for letter in letters]


def a_raw_letter() -> DeadLetter:
    return DeadLetter(
        topic=f"t.{HOSTILE}",
        partition=2,
        offset=7,
        timestamp=at(0),
        key=HOSTILE.encode(),
        value=HOSTILE.encode(),
        headers=(Header(f"from {HOSTILE}", HOSTILE.encode()),),
        stage="depth",
        error="Failed",
        message=HOSTILE,
        version="0",
        attempt=0,
    )


@pytest.mark.parametrize("number", [0, 1])
def test_a_letter_drives_no_terminal(number: int) -> None:
    case = hostile_letters()[number]

    text = shown(lambda console: show_letter(console, case.last, a_raw_letter()))

    assert_harmless(text)
    assert f"header from {SEEN}" in text
    assert f"Failed{SEEN}: bad {SEEN}" in text


def test_lines_of_a_message_stay_lines_where_it_is_shown_whole() -> None:
    letter = replace(a_letter(0, a_frame()), message="not finite:\n  mean nan\x1b[2J")

    text = shown(lambda console: show_letter(console, letter, a_raw_letter()))

    assert [line.split() for line in text.splitlines()[3:5]] == [
        ["error", "ModelFailed:", "not", "finite:"],
        ["mean", r"nan\x1b[2J"],
    ]


def test_the_list_of_letters_drives_no_terminal() -> None:
    text = shown(lambda console: show_table(console, hostile_letters(), 50))

    assert_harmless(text)
    assert f"Failed{SEEN} in depth{SEEN}" in text
    assert r"bad \x1b]0;gone\x07" in text
    assert f"{SEEN} #0"[:30] in text


def test_a_replay_drives_no_terminal() -> None:
    cases = hostile_letters()

    assert_harmless(shown(lambda console: show_plan(console, cases, cases[:1])))
    assert_harmless(shown(lambda console: show_dismissed(console, cases, dry_run=False)))
    assert_harmless(shown(lambda console: show_sums(console, Replayed(refused=[f"no: {HOSTILE}"]))))
    assert_harmless(shown(lambda console: show_unsent(console, cases, cases, "")))


@pytest.mark.parametrize(
    ("numbers", "line"),
    [
        ([4], "1 cannot be sent (letter 4): 'framefuse dead-letters dismiss --offset 4 -x' dismisses it"),
        ([0, *range(2, 8)], "7 cannot be sent (letters 0, 2, 3, 4, 5, …): 'framefuse dead-letters dismiss"),
        (
            [0, 2],
            "2 cannot be sent (letters 0, 2): 'framefuse dead-letters dismiss --offset N -x' dismisses one",
        ),
    ],
)
def test_a_replay_ends_with_what_it_could_not_send(numbers: list[int], line: str) -> None:
    unsent = [Case([a_letter(number, origin=number)]) for number in numbers]
    everyone = [Case([a_letter(1, a_frame())]), *unsent]

    assert line in shown(lambda console: show_unsent(console, [everyone[0], *unsent], everyone, " -x"))
    assert shown(lambda console: show_unsent(console, everyone[:1], everyone, "")) == ""


# ── watch ──


def a_hostile_result() -> Fused:
    fused = replace(a_fused(0, labels=("crate", HOSTILE)), stream_id=HOSTILE, outcome=Outcome.PARTIAL)
    return replace(fused, missing=(Missing(Side.DEPTH, f"late {HOSTILE}"),))


def test_a_line_of_a_result_drives_no_terminal() -> None:
    text = shown(lambda console: console.print(line(a_hostile_result())))

    assert_harmless(text)
    assert text.count(SEEN) == 3


def test_a_result_for_scripts_drives_no_terminal_and_says_the_same(
    capsys: pytest.CaptureFixture[str],
) -> None:
    fused = a_hostile_result()

    JsonLines().result(fused)

    text = capsys.readouterr().out
    assert_harmless(text)
    assert len(text.splitlines()) == 1
    assert json.loads(text)["stream_id"] == fused.stream_id


def test_the_screen_drives_no_terminal() -> None:
    watch, moment = Watch(), at(1)
    watch.add(a_hostile_result(), moment)
    watch.add(replace(a_fused(1), stream_id="yard", objects=(), missing=a_hostile_result().missing), moment)
    standing = Standing(
        states={HOSTILE: a_state(State.RECONNECTING), f"b{HOSTILE}": a_state(State.STALLED)},
        statistics={f"b{HOSTILE}": told_of_labels(HOSTILE)},
        errors=[RecentError(HOSTILE, HOSTILE, HOSTILE, HOSTILE, moment)],
        trouble=f"cannot look: {HOSTILE}",
    )

    text = shown(lambda console: console.print(render(watch, standing, moment, height=50)))

    assert_harmless(text)
    assert f"cannot look: {SEEN}" in text
    assert f"b{SEEN}"[:15] in text
    assert f"no depth (late {SEEN})" in text
    assert f"{SEEN} 7.5" in text


def test_streams_that_are_named_while_nothing_comes_drive_no_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("framefuse.cli.watch._announced", lambda kafka: [f"b{HOSTILE}"])

    text = _silence(Watch(stream="gate"), KafkaSettings())

    assert_harmless(text)
    assert f"the streams here: b{SEEN}" in text


# ── streams ──


def a_state(state: State, *, ended: str = HOSTILE) -> StreamState:
    return StreamState(
        stream_id=HOSTILE,
        run_id="r",
        state=state,
        published=0,
        dropped=0,
        rejected=0,
        updated_at=at(0),
        ended=ended,
    )


def told_of_labels(*labels: str) -> Statistics:
    return told(a_result(0, seconds=0.5, seen=dict.fromkeys(labels, 7.5)), seconds=1)


def test_the_list_of_streams_drives_no_terminal() -> None:
    stream = Stream(stream_id=HOSTILE, source=f"rtsp://{HOSTILE}", live=True)
    row = Row(HOSTILE, stream, Reported(a_state(State.ENDED), at(0)), None)

    text = shown(lambda console: show_rows(console, [row]))

    assert_harmless(text)
    assert text.count(SEEN) == 3


def test_changes_of_streams_drive_no_terminal() -> None:
    def a_stream(stream_id: str, source: str) -> Stream:
        return Stream(stream_id=f"{stream_id}{HOSTILE}", source=f"rtsp://{source}{HOSTILE}", live=True)

    before = {one.stream_id: one for one in (a_stream("b", "2"), a_stream("c", "3"), a_stream("d", "4"))}
    made = Changes(
        added=[a_stream("a", "1")],
        changed=[a_stream("b", "5")],
        removed=[f"c{HOSTILE}"],
        left=[f"d{HOSTILE}"],
        unchanged=[],
    )

    text = shown(lambda console: show_changes(console, before, made, dry_run=False, name_left=True))

    assert_harmless(text)
    assert all(f"{name}{SEEN}" in text for name in "abcd125")


# ── what is said of all of them ──


def test_a_finding_drives_no_terminal() -> None:
    found = warning(f"stage {HOSTILE}", f"members that read something else: {HOSTILE}", f"see {HOSTILE}")
    scene = Scene(KafkaSettings(), "broker:9092")

    text = shown(lambda console: show_findings(console, [found], scene))

    assert_harmless(text)
    assert r"members that read something else: \x1b]0;gone\x07" in text


def test_an_error_that_ends_a_command_drives_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert end_with(Stop(f"stream {HOSTILE}:\nis gone"), "streams list") == 2

    assert capsys.readouterr().err == f"error: stream {SEEN}:\nis gone\n"


@pytest.mark.usefixtures("logging_as_before")
def test_a_log_for_people_drives_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(as_json=False)
    log = logging.getLogger("framefuse.test")
    log.warning("stream %s:\nis gone", HOSTILE)
    try:
        raise ValueError(HOSTILE)
    except ValueError:
        log.exception("given up on")

    text = re.sub(r"\x1b\[\d*m", "", capsys.readouterr().err)  # the colours of the log itself
    assert_harmless(text)
    assert f"stream {SEEN}:\nis gone" in text
    assert f"ValueError: {SEEN}" in text
