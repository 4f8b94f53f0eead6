"""What a watcher knows and shows, and how it fits 80 columns."""

from dataclasses import replace
from datetime import timedelta

import pytest
from rich.console import Console

from framefuse.cli.dashboard import duration, render
from framefuse.cli.screen import line
from framefuse.dead_letters.notes import REPLAY
from framefuse.results.film import step_s
from framefuse.results.recent_errors import ErrorLog
from framefuse.results.standing import Standing
from framefuse.results.watching import StageLag, Stillness, StreamWatch, Watch, objects_in_words
from framefuse.types import Partition
from schemas.records import UNREADABLE, DeadLetter, Fused, Missing, Outcome, Side
from tests.parts.results import a_fused, an_expired
from tests.unit.builders import at


def a_result(frame: int, *, stream: str = "gate", fused_s: float = 0.1) -> Fused:
    """A result whose frame was appended at 0 s and fused at `fused_s`."""
    fused = a_fused(frame, appended_at=at(0))
    return replace(fused, stream_id=stream, fused_at=at(fused_s))


def test_the_rate_is_of_the_last_seconds_and_falls_to_zero_when_nothing_comes() -> None:
    stream = StreamWatch("gate")
    for frame in range(100):
        stream.add(a_result(frame, fused_s=frame / 10), at(frame / 10))

    assert stream.per_second(at(10)) == pytest.approx(10, rel=0.05)
    assert stream.quiet(at(10)) is None
    assert stream.per_second(at(60)) == 0
    assert stream.quiet(at(60)) == timedelta(seconds=60 - 9.9)


def test_old_results_read_from_the_start_make_no_rate() -> None:
    stream = StreamWatch("gate")
    for frame in range(100):
        stream.add(a_result(frame), at(3600))

    assert stream.frames == 100
    assert stream.per_second(at(3600)) == 0


def test_latency_is_from_append_to_outcome() -> None:
    stream = StreamWatch("gate")
    for frame in range(100):
        stream.add(a_result(frame, fused_s=frame / 1000), at(1))

    assert stream.latency_ms(0.5) == 50
    assert stream.latency_ms(0.95) == 95
    assert StreamWatch("yard").latency_ms(0.5) is None


def test_the_ledger_counts_frames_in_flight_from_where_watching_began() -> None:
    watch = Watch({0: 100})
    for frame in (100, 101, 102):
        watch.add(a_result(frame), at(0))

    assert watch.ledger({0: (0, 110), 1: (0, 4)}).in_words() == ("14 published = 3 fused + 11 in flight")


def test_the_ledger_is_of_all_streams_when_one_is_shown() -> None:
    watch = Watch(stream="gate")

    assert watch.add(a_result(0), at(0))
    assert not watch.add(a_result(1, stream="yard"), at(0))

    assert list(watch.streams) == ["gate"]
    assert watch.ledger({0: (0, 2)}).in_words() == "2 published = 2 fused"


def test_streams_come_by_name_and_what_nobody_could_read_last() -> None:
    watch = Watch()
    for frame, stream in enumerate(("yard", UNREADABLE, "gate", "zoo")):
        watch.add(a_result(frame, stream=stream), at(0))

    lines = shown(watch, Standing())
    assert [one.split()[0] for one in lines[1:]] == ["gate", "yard", "zoo", UNREADABLE]


def test_objects_come_nearest_first_with_their_distance_as_far_as_there_is_room() -> None:
    fused = a_fused(0, labels=("crate", "ball", "cone"))
    near = [
        replace(one, depth=replace(one.depth, median=median)) if one.depth else one
        for one, median in zip(fused.objects, (9.0, 3.0, 5.0), strict=True)
    ]
    fused = replace(fused, objects=tuple(near))

    assert objects_in_words(fused) == "ball 3.0 m, cone 5.0 m, crate 9.0 m"
    assert objects_in_words(fused, width=30) == "ball 3.0 m, cone 5.0 m, 1 more"
    assert objects_in_words(fused, width=1) == "ball 3.0 m, 2 more"
    assert objects_in_words(an_expired(0)) == ""


def test_objects_without_a_metric_map_have_no_distance() -> None:
    assert objects_in_words(replace(a_fused(0), map=None)) == "crate, ball"


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (None, "–"),
        (85.4, "85 ms"),
        (1_240, "1.2 s"),
        (12_400, "12 s"),
        (600_000, "10 min"),
        (36_000_000, "10 h"),
    ],
)
def test_durations_are_short(milliseconds: float | None, text: str) -> None:
    assert duration(milliseconds) == text


def test_a_line_says_what_is_missing_and_why() -> None:
    missing = (Missing(Side.DEPTH, "late: timed out"),)
    text = line(replace(a_result(7), outcome=Outcome.PARTIAL, missing=missing))

    assert "gate #7 partial 100 ms  crate 2.5 m, ball 2.5 m  no depth (late: timed out)" in text.plain


def shown(watch: Watch, standing: Standing, *, width: int = 80, height: int = 24) -> list[str]:
    console = Console(width=width, height=height, force_terminal=True, color_system=None)
    with console.capture() as captured:
        console.print(render(watch, standing, at(1), height=height))
    return captured.get().splitlines()


def a_full_watch(streams: int) -> Watch:
    watch = Watch()
    for number in range(streams):
        labels = ("bicycle", "traffic light", "person", "car")
        fused = replace(a_fused(number, labels=labels, appended_at=at(0)), fused_at=at(0.9))
        outcome = Outcome.PARTIAL if number % 2 else Outcome.FUSED
        stream_id = f"a-rather-long-camera-name-{number}"
        watch.add(replace(fused, stream_id=stream_id, outcome=outcome), at(1))
    return watch


STAGES = (
    StageLag("detection", 2, 3, before_outcome=True),
    StageLag("join", 1, 500, before_outcome=True),
    StageLag("object-store", 0, 1234, before_outcome=False),
)


def test_everything_fits_80_columns_and_the_height_of_the_terminal() -> None:
    lines = shown(a_full_watch(40), Standing({0: (0, 45)}, STAGES))

    assert all(len(one.rstrip()) <= 80 for one in lines)
    assert len(lines) <= 22
    assert any("ledger" in one for one in lines)
    assert any("more" in one and one.startswith("…") for one in lines)
    assert any("bicycle 2.5 m" in one for one in lines)


def a_letter(stage: str, error: str, stream: str = "gate") -> DeadLetter:
    return DeadLetter(
        topic="framefuse.frames", partition=0, offset=3, timestamp=at(0), key=stream.encode(), value=b"",
        headers=(), stage=stage, error=error, message=f"the picture is cut off\nafter {'many ' * 30}bytes",
        version="0.1.0", attempt=0,
    )  # fmt: skip


def test_errors_are_one_line_a_stage_and_kind_with_the_newest_first() -> None:
    log = ErrorLog()
    log.add(a_letter("detection", "UnreadableImage"), at(0))
    log.add(a_letter("depth", "ModelFailed"), at(1))
    log.add(a_letter("detection", "UnreadableImage", "yard"), at(2))
    log.add(a_letter(REPLAY, "replayed"), at(3))

    assert [(one.stage, one.count, one.stream_id) for one in log.newest_first()] == [
        ("detection", 2, "yard"),
        ("depth", 1, "gate"),
    ]


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40)])
def test_errors_and_trouble_stay_in_sight_below_as_many_streams_as_there_is_room_for(
    width: int, height: int
) -> None:
    log = ErrorLog()
    for number in range(5):
        log.add(a_letter("detection", f"Error{number}"), at(number / 10))
    standing = Standing({0: (0, 45)}, STAGES, errors=log.newest_first(), trouble="no broker answers")

    lines = shown(a_full_watch(40), standing, width=width, height=height)

    assert len(lines) == height - 2  # the title and a line below it
    assert all(len(one.rstrip()) <= width for one in lines)
    assert lines[0].startswith("no broker answers")
    assert [one.split()[2] for one in lines[-3:]] == ["Error4", "Error3", "Error2"]
    assert all(one.rstrip().endswith("…") for one in lines[-3:])


def test_a_stage_before_the_outcome_is_behind_by_no_more_than_what_is_in_flight() -> None:
    lines = shown(a_full_watch(40), Standing({0: (0, 45)}, STAGES))

    by_stage = {one.split()[0]: one.split()[1:] for one in lines if one.split()[:1] and one[0] != " "}
    assert by_stage["detection"][:2] == ["2", "3"]
    assert by_stage["join"][:2] == ["1", "5"]
    assert by_stage["object-store"] == ["–", "1,234", "framefuse", "run", "object-store"]


def test_a_stage_with_workers_that_stands_still_before_something_to_read_does_not_move() -> None:
    still, here, there = Stillness(), {Partition("t.fused", 0): 7}, {Partition("t.fused", 0): 8}

    assert still.add(here, 100, unread=True) == 0
    assert still.add(here, 116, unread=True) == 16
    assert still.add(there, 117, unread=True) == 0
    assert still.add(there, 150, unread=False) == 0
    assert still.add(there, 151, unread=True) == 0

    stuck = StageLag("object-store", 1, 1115, before_outcome=False, still_s=754)
    lines = shown(a_full_watch(2), Standing({0: (0, 45)}, [stuck]))
    assert any(one.rstrip().endswith("does not move (13 min): see its log") for one in lines)
    assert all(len(one.rstrip()) <= 80 for one in lines)
    assert not replace(stuck, workers=0).does_not_move
    assert not replace(stuck, patience_s=800).does_not_move


def test_a_stream_that_lives_stands_above_those_that_have_ended_and_the_ledger_breaks_between_terms() -> None:
    watch = Watch()
    for number in range(30):
        watch.add(a_result(number, stream=f"a{number}", fused_s=-60), at(-60))
    outcomes = (Outcome.PARTIAL, Outcome.EXPIRED, Outcome.DEAD_LETTER, Outcome.LOST, Outcome.FUSED)
    for number in range(30, 60):
        fused = replace(a_result(number, stream="zoo", fused_s=0.9), outcome=outcomes[number % 5])
        watch.add(fused, at(0.9))

    lines = shown(watch, Standing({0: (0, 12345)}, STAGES))

    assert lines[1].startswith("zoo ")
    at_ledger = next(n for n, one in enumerate(lines) if one.startswith("ledger"))
    assert len(lines) == at_ledger + 2
    assert lines[at_ledger].rstrip().endswith("+")
    assert len(lines) <= 22


def test_what_stages_did_is_not_shown_while_the_broker_is_away() -> None:
    lines = shown(a_full_watch(2), Standing({0: (0, 45)}, STAGES, trouble="no broker answers"))

    assert [one.split() for one in lines if one.startswith("join")] == [["join", "–", "–", "–"]]


def test_trouble_with_the_broker_is_said() -> None:
    assert "no broker answers" in "\n".join(shown(Watch(), Standing(trouble="no broker answers")))


@pytest.mark.parametrize(
    ("later_s", "same_run", "step"),
    [(0.1, True, 0.1), (1.5, True, 1.5), (600, True, 2.0), (-5, True, 0.04), (30, False, 0.04)],
)
def test_a_film_plays_as_fast_as_the_cameras_clock_went_but_for_its_pauses(
    later_s: float, same_run: bool, step: float
) -> None:
    before = a_result(0)
    after = replace(
        before,
        captured_at=before.captured_at + timedelta(seconds=later_s),
        run_id=before.run_id if same_run else "another",
    )

    assert step_s(None, before) == 0
    assert step_s(before, after) == pytest.approx(step)
