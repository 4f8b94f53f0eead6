"""What the screen of `publish` says of each stream, and when a broker is taken for away."""

from collections import Counter

from rich.console import Console

from framefuse.cli.publish_screen import RecentRate, in_a_line, table
from framefuse.cli.publish_view import outcomes_of
from framefuse.publishing.answers import Answers
from framefuse.publishing.decisions import Sums
from framefuse.publishing.publication import Progress
from schemas.records import Outcome, State


def a_progress(stream_id: str = "gate", **more: object) -> Progress:
    known = {"title": "rtsp://host/1", "run_id": stream_id, "sums": Sums(published=12), "elapsed_s": 3.0}
    rest = {"waiting_for": "", "ended": False, "damaged": False}
    return Progress(stream_id, **{**known, **rest, **more})  # type: ignore[arg-type]


def drawn(*streams: Progress) -> str:
    console = Console(width=80, record=True, file=None, quiet=False, force_terminal=False)
    with console.capture() as shown:
        console.print(table(streams, [5.0] * len(streams), None))
    return shown.get()


def test_each_stream_says_how_its_source_is() -> None:
    shown = drawn(*(a_progress(state.value.lower(), state=state) for state in State))
    for state in State:
        assert shown.count(state.value.lower()) == 2


def test_a_broker_that_is_away_comes_before_the_workers_and_the_camera() -> None:
    away = a_progress(state=State.STALLED, trouble="no broker answers", waiting_for="no worker reads it")
    assert in_a_line(away, 0.0) == "no broker, 12 frames, 0.0/s"
    held = a_progress(waiting_for="no worker reads it")
    assert in_a_line(held, 0.0) == "waits for workers, 12 frames, 0.0/s"


def test_dropped_frames_have_a_column_only_where_there_are_any() -> None:
    assert "dropped" not in drawn(a_progress())
    assert "dropped" in drawn(a_progress(), a_progress("yard", sums=Sums(dropped=3)))


def test_the_rate_is_that_of_the_last_seconds() -> None:
    rate = RecentRate(0.0)
    for second in range(1, 11):
        rate.note(float(second), 10 * second)
    assert rate.per_s(10.0) == 10.0
    for second in range(11, 21):
        rate.note(float(second), 100)
    assert rate.per_s(20.0) == 0.0


def test_a_broker_that_is_slow_to_answer_is_told_and_one_that_answers_is_not() -> None:
    answers = Answers()
    answers.handed(10.0)
    assert answers.trouble(12.9) is None
    assert answers.trouble(13.1) == "the broker has not answered for 3 s"
    answers.returned(14.0, from_broker=True)
    assert answers.trouble(100.0) is None, "nothing was asked, so no answer is missing"


def test_a_record_that_was_given_up_is_no_answer() -> None:
    answers = Answers()
    answers.unreachable()
    answers.handed(10.0)
    answers.returned(11.0, from_broker=False)
    assert answers.trouble(11.0) == "no broker answers"
    answers.heard(12.0)
    assert answers.trouble(12.0) is None


def test_an_answer_may_come_before_it_is_said_that_something_was_handed_over() -> None:
    answers = Answers()
    answers.returned(10.0, from_broker=True)
    answers.handed(10.1)
    assert answers.trouble(100.0) is None


def test_a_frame_without_an_outcome_is_lost_only_once_all_later_ones_have_theirs() -> None:
    seen = {"gate": Counter({Outcome.FUSED: 9})}
    assert outcomes_of(a_progress(), seen, decided=False) == {"fused": 9, "in flight": 3}
    assert outcomes_of(a_progress(), seen, decided=True) == {"fused": 9, "lost": 3}
