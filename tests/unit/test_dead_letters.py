"""What dead letters say: one case a frame, its latest attempt, and which cases are meant."""

from dataclasses import replace
from datetime import timedelta

import pytest

from framefuse.cli.moments import moment
from framefuse.dead_letters.cases import Case, Cases, Letter, LetterId, Origin, Selection, offsets, only
from framefuse.dead_letters.reading import frame_in
from framefuse.dead_letters.replaying import again
from framefuse.errors import BadInput
from schemas.codec import SchemaBook, encode
from schemas.records import DeadLetter, Frame
from tests.unit.builders import START, a_frame, at


def a_letter(
    number: int,
    frame: Frame | None = None,
    *,
    stage: str = "detection",
    error: str = "ModelFailed",
    origin: int = 7,
    topic: str = "framefuse.frames",
) -> Letter:
    """The letter at this offset of the dead letters, written that many seconds after the start."""
    return Letter(
        id=LetterId(0, number),
        written_at=at(number),
        origin=Origin(topic, 2, origin),
        stage=stage,
        error=error,
        message="not finite",
        version="0.1.0",
        attempt=frame.attempt if frame else 0,
        size_bytes=100,
        frame=frame,
        obstacle=None if frame else "its value cannot be read",
    )


def cases_of(*letters: Letter) -> list[Case]:
    cases = Cases()
    for letter in letters:
        cases.add(letter)
    return list(cases)


# ── cases ──


def test_two_stages_that_gave_up_on_one_frame_are_one_case() -> None:
    (case,) = cases_of(a_letter(0, a_frame()), a_letter(1, a_frame(), stage="depth"))

    assert [letter.stage for letter in case.letters] == ["detection", "depth"]


def test_two_letters_about_one_record_that_nobody_can_read_are_one_case() -> None:
    assert len(cases_of(a_letter(0), a_letter(1, stage="depth"), a_letter(2, origin=8))) == 2


def test_a_letter_that_came_twice_after_a_crash_counts_once() -> None:
    (case,) = cases_of(a_letter(0, a_frame()), a_letter(1, a_frame()))

    assert [letter.id.offset for letter in case.letters] == [0]


def test_only_the_latest_attempt_counts() -> None:
    second = replace(a_frame(), attempt=1)
    letters = [a_letter(0, a_frame()), a_letter(1, second, origin=9), a_letter(2, a_frame(), stage="depth")]

    (case,) = cases_of(*letters)

    assert [letter.id.offset for letter in case.letters] == [1]
    assert case.next_attempt == 2


def test_a_case_is_closed_by_a_replay_and_opened_by_its_failure() -> None:
    cases = Cases()
    cases.add(a_letter(0, a_frame()))
    assert [case.open for case in cases] == [True]

    cases.sent_again(Origin("framefuse.frames", 2, 7), 1)
    assert [(case.open, case.next_attempt) for case in cases] == [(False, 2)]

    cases.add(a_letter(2, replace(a_frame(), attempt=1), origin=9))
    assert [case.open for case in cases] == [True]

    cases.sent_again(Origin("framefuse.frames", 2, 9), 2)
    assert [case.open for case in cases] == [False]


def test_a_case_is_closed_by_being_dismissed_and_opened_by_a_later_attempt() -> None:
    cases = Cases()
    cases.add(a_letter(0))
    cases.dismiss(Origin("framefuse.frames", 2, 7), 0)
    assert [case.open for case in cases] == [False]

    cases.add(a_letter(1, a_frame(), origin=8))
    cases.dismiss(Origin("framefuse.frames", 2, 8), 0)
    cases.add(a_letter(2, replace(a_frame(), attempt=1), origin=9))
    assert [case.open for case in cases] == [False, True]


def test_cases_come_in_the_order_of_their_latest_letter() -> None:
    first, second = a_frame("gate"), a_frame("yard")
    cases = cases_of(a_letter(0, first), a_letter(1, second, origin=8), a_letter(2, first, stage="depth"))

    assert [case.last.frame.stream_id for case in cases if case.last.frame] == ["yard", "gate"]


# ── which are meant ──


@pytest.mark.parametrize(
    ("selection", "meant"),
    [
        (Selection(), {"0", "1", "2"}),
        (Selection(stage="depth"), {"1"}),
        (Selection(error="modelfailed"), {"0", "2"}),
        (Selection(error="finite"), {"0", "1", "2"}),
        (Selection(since=at(1)), {"1", "2"}),
        (Selection(topic="fused"), {"2"}),
        (Selection(topic="framefuse.frames"), {"0", "1"}),
        (Selection(offsets=offsets("0-1")), {"0", "1"}),
        (Selection(stage="detection", offsets=offsets("1-")), set()),
    ],
)
def test_a_selection_takes_what_fits_all_of_it(selection: Selection, meant: set[str]) -> None:
    cases = cases_of(
        a_letter(0, a_frame("gate")),
        a_letter(1, a_frame("yard"), stage="depth", error="UnreadableImage", origin=8),
        a_letter(2, stage="object-store", topic="framefuse.fused"),
    )

    assert {str(case.last.id) for case in cases if selection.takes(case)} == meant


@pytest.mark.parametrize(
    ("selection", "said"),
    [
        (Selection(offsets=offsets("99")), "no letter 99 in t: its letters are 0 to 4"),
        (Selection(offsets=offsets("2-3")), "no letter 2 to 3 in t: its letters are 0 to 4"),
        (Selection(stage="detecton"), "names it: did you mean detection?"),
        (
            Selection(stage="nosuch"),
            "no stage nosuch is installed here, and no letter in t names it: there are",
        ),
    ],
)
def test_a_letter_and_a_stage_that_are_nowhere_are_named(selection: Selection, said: str) -> None:
    cases = Cases()
    for letter in (a_letter(0, a_frame()), a_letter(1, stage="mine"), a_letter(4, origin=8)):
        cases.add(letter)

    with pytest.raises(BadInput) as refused:
        selection.check_known(cases, "t", ["detection", "depth"])

    assert said in str(refused.value)


@pytest.mark.parametrize(
    "selection",
    [
        Selection(),
        Selection(stage="depth"),
        Selection(stage="mine"),
        Selection(error="nosuch", since=at(9), topic="nosuch"),
        Selection(offsets=offsets("0")),
        Selection(offsets=offsets("1-99")),
        Selection(offsets=offsets("99-")),
    ],
)
def test_a_filter_that_may_match_one_day_is_no_mistake(selection: Selection) -> None:
    cases = Cases()
    for letter in (a_letter(0, a_frame()), a_letter(1, replace(a_frame(), attempt=1), stage="mine")):
        cases.add(letter)

    selection.check_known(cases, "t", ["detection", "depth"])


def test_where_there_is_no_letter_none_can_be_named() -> None:
    with pytest.raises(BadInput, match="no letter 0 in t: it has no letters"):
        Selection(offsets=offsets("0")).check_known(Cases(), "t", [])


@pytest.mark.parametrize(
    ("wanted", "option"),
    [
        ([1], "--offset 1"),
        ([1, 2], "--offset 1-2"),
        ([0, 3], "--error ModelFailed"),
        ([0, 2], None),
        ([4], None),
    ],
)
def test_an_option_for_some_cases_never_means_another(wanted: list[int], option: str | None) -> None:
    errors = ["ModelFailed", "Undecodable", "Undecodable", "ModelFailed"]
    letters = [a_letter(number, origin=number, error=error) for number, error in enumerate(errors)]
    letters += [replace(a_letter(4, origin=20 + part, error="x y"), id=LetterId(part, 4)) for part in (0, 1)]
    cases = cases_of(*letters)

    assert only([cases[number] for number in wanted], cases) == option


@pytest.mark.parametrize(("text", "ago_s"), [("90s", 90), ("10m", 600), ("2 h", 7200), ("1d", 86400)])
def test_a_moment_may_be_that_long_ago(text: str, ago_s: int) -> None:
    assert moment(text, START) == START - timedelta(seconds=ago_s)


def test_a_moment_may_be_a_time() -> None:
    assert moment("2026-03-01T12:00:00+00:00", at(99)) == START


@pytest.mark.parametrize(
    ("text", "inside", "outside"), [("57", {57}, {56, 58}), ("5-7", {5, 7}, {4, 8}), ("9-", {9, 10**12}, {8})]
)
def test_offsets_are_one_or_from_to_or_from_on(text: str, inside: set[int], outside: set[int]) -> None:
    assert all(number in offsets(text) for number in inside)
    assert not any(number in offsets(text) for number in outside)


@pytest.mark.parametrize("text", ["", "yesterday", "-3", "5-x", "1e3", "9999999d"])
def test_what_is_no_moment_no_offset_and_no_letter_is_refused_with_an_example(text: str) -> None:
    for parse in (lambda: moment(text, START), lambda: offsets(text), lambda: LetterId.parse(text)):
        with pytest.raises(BadInput, match=r"expected|such as"):
            parse()


def test_a_letter_is_named_by_its_offset_and_by_its_partition_where_there_are_several() -> None:
    assert [str(LetterId.parse(text)) for text in ("57", "2:57", "0:57")] == ["57", "2:57", "57"]


# ── replay ──


def a_letter_with(value: bytes) -> DeadLetter:
    return DeadLetter(
        topic="framefuse.frames",
        partition=2,
        offset=7,
        timestamp=START,
        value=value,
        stage="detection",
        error="UndecodableRecord",
        message="",
        version="0.1.0",
        attempt=0,
    )


def test_a_frame_that_a_letter_holds_can_be_sent() -> None:
    assert frame_in(a_letter_with(encode(a_frame())), "framefuse.frames", SchemaBook()) == (a_frame(), None)


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (replace(a_frame(), stream_id="../gate"), "stream id '../gate': expected 1 to 64 of"),
        (replace(a_frame(), run_id="a b"), "run id 'a b': expected a UUID"),
        (replace(a_frame(), sequence=-1), "sequence -1, attempt 0"),
    ],
)
def test_a_frame_that_every_stage_refuses_cannot_be_sent(frame: Frame, why: str) -> None:
    found, obstacle = frame_in(a_letter_with(encode(frame)), "framefuse.frames", SchemaBook())

    assert found is None
    assert obstacle is not None
    assert f"no stage takes it: {why}" in obstacle


def test_a_replay_is_the_same_frame_that_never_expires() -> None:
    frame = replace(a_frame(sequence=3, live=True, freshness_ms=500), capture_to_send_ms=80.0)

    once_more = again(frame, 2)

    assert once_more == replace(frame, attempt=2, live=False, freshness_ms=None, capture_to_send_ms=0.0)
