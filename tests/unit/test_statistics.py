"""What the stage `statistics` makes of results: the row of a stream, and what is told of it."""

import random
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.statistics.board import Board
from processors.statistics.counting import LABELS, OTHERS, SLOTS, at_rest, counted, report, sample_of
from processors.statistics.latency import LEAST_MS, MOST_MS, bucket_of, latency_of, quantile
from schemas.records import Missing, Outcome, Side
from schemas.statistics import Nearest, Sample, Statistics, StatisticsEvent, StatisticsRow
from schemas.summaries import FusedSummary, SeenObject, summary_of
from tests.parts.results import a_fused
from tests.unit.builders import at

QUIET = timedelta(seconds=10)
LATER = at(100_000)


def a_result(
    offset: int,
    *,
    seconds: float | None = None,
    latency_ms: float = 100.0,
    seen: Mapping[str, float] | None = None,
    unit: str = "m",
    outcome: Outcome = Outcome.FUSED,
    missing: tuple[Missing, ...] = (),
    partition: int = 0,
) -> FusedSummary:
    """The result of a frame, made `seconds` after `START`, with these objects and their depths."""
    made = at(offset if seconds is None else seconds)
    fused = a_fused(
        offset, labels=(), partition=partition, appended_at=made - timedelta(milliseconds=latency_ms)
    )
    depth = summary_of(a_fused(0)).objects[0].depth
    assert depth is not None
    objects = tuple(
        SeenObject(label, replace(depth, median=median)) for label, median in (seen or {}).items()
    )
    summary = summary_of(fused)
    return replace(summary, objects=objects, unit=unit, outcome=outcome, missing=missing, fused_at=made)


def samples(results: Iterable[FusedSummary]) -> tuple[Sample, ...]:
    return tuple(sample_of(result) for result in results)


def row_of(*results: FusedSummary, now: datetime = LATER) -> StatisticsRow:
    """The row after these results, one an event."""
    row = None
    for result in results:
        row = counted(row, StatisticsEvent(stream_id="gate", samples=samples([result])), now)
    assert row is not None
    return row


def told(*results: FusedSummary, seconds: float) -> Statistics:
    """What is said of a stream with these results, so many seconds after `START`."""
    return report(row_of(*results, now=at(seconds)), at(seconds), quiet_after=QUIET)


def test_a_stream_of_ten_frames_a_second_is_told_so() -> None:
    results = [a_result(number, seconds=number / 10) for number in range(300)]

    assert told(*results, seconds=30.0).frames_per_s == pytest.approx(10.0)


def test_a_stream_that_has_just_begun_is_told_by_its_own_age() -> None:
    results = [a_result(number, seconds=number / 10) for number in range(40)]

    assert told(*results, seconds=4.0).frames_per_s == pytest.approx(10.0)


@pytest.mark.parametrize("after_s", [0.0, 0.4, 0.9])
def test_the_slot_that_is_being_filled_does_not_lower_the_rate(after_s: float) -> None:
    until_s = 30.0 + after_s
    results = [a_result(number, seconds=number / 10) for number in range(int(until_s * 10))]

    assert told(*results, seconds=until_s).frames_per_s == pytest.approx(10.0)


def test_a_rate_falls_to_nothing_after_the_last_result() -> None:
    results = [a_result(number, seconds=number / 10) for number in range(300)]

    assert told(*results, seconds=46.0).frames_per_s == 0.0


def test_latency_is_from_append_to_outcome_within_two_percent() -> None:
    rng = random.Random(3)
    latencies_ms = [rng.lognormvariate(5, 1) for _ in range(500)]
    results = [
        a_result(number, seconds=number / 10, latency_ms=latency_ms)
        for number, latency_ms in enumerate(latencies_ms)
    ]

    statistics = told(*results, seconds=50.0)

    ordered = sorted(latencies_ms)
    assert statistics.latency_p50_ms == pytest.approx(ordered[249], rel=0.021)
    assert statistics.latency_p95_ms == pytest.approx(ordered[474], rel=0.021)


def test_only_the_last_minute_counts_for_latencies_and_labels() -> None:
    slow = [a_result(number, latency_ms=9000, seen={"car": 1.0}) for number in range(10)]
    fast = [a_result(number, latency_ms=10, seen={"cone": 3.0}) for number in range(70, 80)]

    statistics = told(*slow, *fast, seconds=80.0)

    assert statistics.latency_p95_ms == pytest.approx(10, rel=0.021)
    assert [(one.label, one.now, one.last_minute) for one in statistics.labels] == [("cone", 1, 10)]
    assert statistics.frames_last_minute == 10
    assert statistics.frames == 20
    assert statistics.nearest_last_minute == Nearest("cone", 3.0, "m")


@pytest.mark.parametrize(("age_s", "still_there"), [(54.9, 1), (59.9, 1), (60.0, 0)])
def test_a_result_leaves_the_last_minute_with_its_slot(age_s: float, still_there: int) -> None:
    # `START` is the beginning of a slot, so its result is there for as long as any can be.
    assert told(a_result(0), seconds=age_s).frames_last_minute == still_there


def test_the_end_of_a_slot_leaves_the_last_minute_after_fifty_five_seconds() -> None:
    assert told(a_result(0, seconds=4.999), seconds=60.0).frames_last_minute == 0


def test_labels_are_counted_now_and_over_the_minute_most_seen_first() -> None:
    results = [
        a_result(0, seen={"car": 8.0, "cone": 5.0}),
        a_result(1, seen={"car": 7.0}),
        a_result(2, seen={"crate": 4.0}),
    ]

    statistics = told(*results, seconds=3.0)

    assert [(one.label, one.now, one.last_minute) for one in statistics.labels] == [
        ("car", 0, 2),
        ("cone", 0, 1),
        ("crate", 1, 1),
    ]
    assert statistics.nearest == Nearest("crate", 4.0, "m")
    assert statistics.nearest_last_minute == Nearest("crate", 4.0, "m")


def test_more_labels_than_are_kept_are_counted_as_others() -> None:
    seen = {f"thing {number:03}": 1.0 for number in range(LABELS + 6)}

    statistics = told(a_result(0, seen=seen), seconds=1.0)

    assert {one.label: one.now for one in statistics.labels}[OTHERS] == 6
    assert len(statistics.labels) == LABELS + 1


def test_the_nearest_is_the_least_distance_and_the_largest_relative_depth() -> None:
    assert told(a_result(0, seen={"a": 9.0, "b": 2.0}), seconds=1).nearest == Nearest("b", 2.0, "m")
    relative = a_result(0, seen={"a": 9.0, "b": 2.0}, unit="")
    assert told(relative, seconds=1).nearest == Nearest("a", 9.0, "")


def test_a_frame_that_nobody_looked_at_does_not_say_that_nothing_is_there() -> None:
    expired = a_result(
        1,
        outcome=Outcome.EXPIRED,
        missing=(Missing(Side.DETECTION, "expired"), Missing(Side.DEPTH, "expired")),
    )

    statistics = told(a_result(0, seen={"car": 8.0}), expired, seconds=2.0)

    assert statistics.nearest == Nearest("car", 8.0, "m")
    assert statistics.outcomes == {"FUSED": 1, "EXPIRED": 1}
    assert statistics.last.outcome is Outcome.EXPIRED


def test_the_last_frame_is_the_last_by_run_and_sequence_wherever_it_was_read() -> None:
    results = [a_result(3, partition=1), a_result(2, partition=0, seconds=3.5)]

    statistics = told(*results, seconds=4.0)

    assert (statistics.last.sequence, statistics.frames) == (3, 2)


def test_a_quiet_stream_shows_nothing_as_if_it_were_there_now() -> None:
    statistics = told(a_result(0, seen={"car": 8.0}), seconds=11.0)

    assert statistics.quiet
    assert statistics.nearest is None
    assert [(one.label, one.now, one.last_minute) for one in statistics.labels] == [("car", 0, 1)]
    assert not at_rest(statistics)
    assert at_rest(told(a_result(0, seen={"car": 8.0}), seconds=75.0))


def test_a_result_of_a_clock_ahead_counts_as_of_now() -> None:
    statistics = told(a_result(0, seconds=3600.0), seconds=5.0)

    assert statistics.frames_last_minute == 1
    assert not statistics.quiet
    assert told(a_result(0, seconds=3600.0), seconds=5.0).since == at(5.0)


def test_results_that_are_read_late_count_but_not_in_the_last_minute() -> None:
    statistics = told(*[a_result(number) for number in range(20)], seconds=3600.0)

    assert (statistics.frames, statistics.frames_last_minute, statistics.frames_per_s) == (20, 0, 0.0)
    assert statistics.latency_p50_ms is None
    assert statistics.quiet


def test_a_row_stays_small_whatever_comes() -> None:
    rng = random.Random(1)
    row = None
    for number in range(3000):
        result = a_result(
            number,
            latency_ms=10 ** rng.uniform(-3, 12),
            seen={f"thing {rng.randrange(500)}": 1.0},
        )
        row = counted(row, StatisticsEvent(stream_id="gate", samples=samples([result])), at(number))
    assert row is not None
    assert len(row.slots) <= SLOTS
    assert all(len(slot.labels) <= LABELS + 1 for slot in row.slots)
    most = bucket_of(MOST_MS) - bucket_of(LEAST_MS) + 1
    assert all(len(slot.latencies) <= most for slot in row.slots)
    assert most < 600


@given(st.lists(st.integers(0, 3), max_size=30), st.randoms(use_true_random=False))
def test_what_is_read_again_counts_once(partitions: list[int], rng: random.Random) -> None:
    ends = dict.fromkeys(range(4), 0)
    results = []
    for partition in partitions:
        results.append(a_result(ends[partition], partition=partition))
        ends[partition] += 1
    whole = samples(results)
    row, done = None, 0
    while done < len(whole):
        back = rng.randrange(done + 1)
        done = rng.randint(done, len(whole))
        row = counted(row, StatisticsEvent(stream_id="gate", samples=whole[back:done]), LATER)
    assert (row.frames if row else 0) == len(whole)


def test_an_event_that_says_nothing_new_leaves_the_very_row() -> None:
    row = row_of(a_result(0), a_result(1))
    again = StatisticsEvent(stream_id="gate", samples=samples([a_result(0), a_result(1)]))

    assert counted(row, again, LATER) is row
    assert counted(None, StatisticsEvent(stream_id="gate", samples=()), LATER) is None


def test_a_topic_that_was_made_anew_is_counted_from_its_beginning() -> None:
    anew = a_result(0, seconds=900.0)

    assert row_of(a_result(5), a_result(6), anew).frames == 3


@given(st.floats(LEAST_MS, MOST_MS))
def test_a_bucket_is_within_two_percent_of_what_it_holds(latency_ms: float) -> None:
    assert latency_of(bucket_of(latency_ms)) == pytest.approx(latency_ms, rel=0.0201)


@pytest.mark.parametrize("latency_ms", [-5.0, 0.0, 1e300])
def test_a_latency_that_cannot_be_is_counted_at_the_edge(latency_ms: float) -> None:
    assert bucket_of(latency_ms) in (bucket_of(LEAST_MS), bucket_of(MOST_MS))


def test_of_nothing_there_is_no_quantile() -> None:
    assert quantile({}, 0.5) is None


def a_board(*, forget_after_s: float = 3600.0) -> Board:
    return Board(quiet_after=QUIET, forget_after=timedelta(seconds=forget_after_s))


def test_a_stream_is_told_while_it_changes_and_once_more_when_it_is_at_rest() -> None:
    board, row = a_board(), row_of(a_result(0, seen={"car": 8.0}), now=at(1))

    news = [len(board.look([row], at(seconds)).statistics) for seconds in range(1, 100)]

    assert news[0] == 1
    assert sum(news[70:]) == 0
    assert at_rest(board.streams["gate"])


def test_a_stream_that_comes_back_is_told_again() -> None:
    board, row = a_board(), row_of(a_result(0), now=at(1))
    for seconds in range(1, 100):
        board.look([row], at(seconds))
    again = counted(row, StatisticsEvent(stream_id="gate", samples=samples([a_result(101)])), at(101))
    assert again is not None

    (statistics,) = board.look([again], at(102)).statistics

    assert (statistics.frames, statistics.quiet) == (2, False)


def test_a_stream_that_is_quiet_for_long_is_forgotten() -> None:
    board, row = a_board(forget_after_s=600), row_of(a_result(0), now=at(1))

    assert board.look([row], at(590)).forgotten == []
    assert board.look([row], at(700)).forgotten == ["gate"]
    assert board.streams == {}


def test_a_stream_that_became_anothers_is_told_by_it() -> None:
    board, row = a_board(), row_of(a_result(0), now=at(1))
    board.look([row], at(1))

    assert board.look([], at(2)).statistics == []
    assert board.streams == {}
    assert len(board.look([row], at(3)).statistics) == 1
