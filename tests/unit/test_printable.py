"""Whoever may write to a topic moves no cursor, and forges no line, on the terminal of who reads it."""

from collections.abc import Callable
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from framefuse.cli.dead_letters_view import (
    Replayed,
    show_dismissed,
    show_letter,
    show_plan,
    show_sums,
    show_table,
)
from framefuse.dead_letters.cases import Case
from framefuse.terminal import printable
from schemas.records import DeadLetter, Header
from tests.unit.builders import a_frame, at
from tests.unit.test_dead_letters import a_letter

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
