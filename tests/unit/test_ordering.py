"""Putting results of spread streams in order, whatever way their partitions interleave."""

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from framefuse.results.ordering import InOrder
from schemas.records import UNREADABLE, Fused
from tests.parts.results import a_fused, an_expired

RUNS = ("0196-first", "0197-second")
FOREVER_S = 1e9
Place = tuple[str, int]


def result(sequence: int, *, partition: int = 0, run: str = RUNS[0], stream: str = "gate") -> Fused:
    fused = an_expired(0)
    at = replace(fused.frame, partition=partition)
    return replace(fused, sequence=sequence, run_id=run, stream_id=stream, frame=at)


def sequences(found: Sequence[Fused]) -> list[int]:
    return [fused.sequence for fused in found]


def place(fused: Fused) -> Place:
    return fused.run_id, fused.sequence


@st.composite
def arrivals(draw: st.DrawFn, *, gaps: bool, runs: int) -> list[Fused]:
    """Results of one stream over up to four partitions, each in order and each showing itself at once."""
    logs: list[list[Fused]] = [[] for _ in range(draw(st.integers(1, 4)))]
    for run in RUNS[:runs]:
        for sequence in range(draw(st.integers(1, 15))):
            if gaps and draw(st.booleans()):
                continue
            at = draw(st.integers(0, len(logs) - 1))
            logs[at].append(result(sequence, partition=at, run=run))
    used = [number for number, log in enumerate(logs) if log]
    order = draw(st.permutations([number for number in used for _ in logs[number][1:]]))
    rests = [iter(log) for log in logs]
    return [next(rests[number]) for number in (*used, *order)]


def drained(order: InOrder) -> list[Fused]:
    """All that waits, after as many years as it takes."""
    now_s, found = FOREVER_S, list[Fused]()
    while order.held_bytes:
        found += order.advance(now_s)
        now_s += FOREVER_S
    return found


@given(arrivals(gaps=False, runs=1))
def test_a_spread_stream_without_gaps_comes_out_complete_and_in_order(came: list[Fused]) -> None:
    order = InOrder(patience_s=1000.0)
    given = [fused for number, one in enumerate(came) for fused in order.add(one, number / 5)]
    given += order.advance(len(came) / 5 + 1)
    assert sequences(given) == list(range(len(came)))
    assert (order.late, order.held_bytes) == (0, 0)


@given(arrivals(gaps=True, runs=2), st.floats(0, 5), st.floats(0, 3), st.integers(0, 8))
def test_whatever_comes_is_given_once_within_its_limits_and_what_is_late_is_counted(
    came: list[Fused], step_s: float, patience_s: float, room: int
) -> None:
    order = InOrder(patience_s=patience_s, limit_bytes=room * 1024)
    given: list[Fused] = []
    for number, one in enumerate(came):
        given += order.add(one, number * step_s)
        assert order.held_bytes <= room * 1024
    given += drained(order)

    assert sorted(map(id, given)) == sorted(map(id, came))
    assert order.held_bytes == 0
    places = [place(one) for one in given]
    assert order.late == sum(at < max(places[:number]) for number, at in enumerate(places) if number)


@given(arrivals(gaps=True, runs=2))
def test_with_patience_and_room_gaps_and_new_runs_never_cost_the_order(came: list[Fused]) -> None:
    order = InOrder(patience_s=1000.0)
    given = [fused for number, one in enumerate(came) for fused in order.add(one, number / 5)]
    given += drained(order)
    assert [place(one) for one in given] == sorted(map(place, came))
    assert order.late == 0


def settled(*first: Fused) -> InOrder:
    """After the first second of a stream, which brought these."""
    order = InOrder(patience_s=10.0)
    for one in first:
        order.add(one, 0.0)
    assert sequences(order.advance(1.0)) == sorted(sequences(first))
    return order


def test_the_first_second_shows_the_partitions_and_is_given_in_order() -> None:
    order = InOrder()
    assert order.add(result(41, partition=0), 0.0) == []
    assert order.add(result(40, partition=1), 0.4) == []
    assert order.advance(0.9) == []
    assert sequences(order.advance(1.0)) == [40, 41]


def test_what_follows_is_given_at_once() -> None:
    order = settled(result(0))
    assert sequences(order.add(result(1, partition=3), 1.0)) == [1]


def test_a_gap_that_every_partition_has_passed_is_waited_for_no_longer() -> None:
    order = settled(result(0, partition=0), result(1, partition=1))
    assert order.add(result(5, partition=1), 2.0) == []
    assert sequences(order.add(result(6, partition=0), 2.1)) == [5, 6]


def test_a_gap_and_a_new_run_on_the_only_partition_of_a_stream_cost_nothing() -> None:
    order = settled(result(0))
    assert sequences(order.add(result(9), 1.1)) == [9]
    assert sequences(order.add(result(0, run=RUNS[1]), 1.2)) == [0]


def test_a_silent_partition_is_waited_for_as_long_as_patience_lasts() -> None:
    order = settled(result(0, partition=0), result(1, partition=1))
    assert order.add(result(3, partition=0), 5.0) == []
    assert order.advance(14.9) == []
    assert sequences(order.advance(15.0)) == [3]
    assert sequences(order.add(result(2, partition=1), 16.0)) == [2]
    assert order.late == 1


def test_patience_is_for_each_gap() -> None:
    order = settled(result(0, partition=0), result(1, partition=1))
    assert order.add(result(3, partition=0), 5.0) == []
    assert order.add(result(5, partition=0), 6.0) == []
    assert sequences(order.advance(15.0)) == [3]
    assert order.advance(24.9) == []
    assert sequences(order.advance(25.0)) == [5]


def test_too_much_that_waits_makes_the_longest_waiting_stream_go_on() -> None:
    map_bytes = len(heavy.data) if (heavy := a_fused(0).map) else 0
    order = InOrder(limit_bytes=2 * (1024 + map_bytes))
    gate, yard = (replace(a_fused(5), stream_id=name) for name in ("gate", "yard"))
    assert order.add(gate, 0.0) == []
    assert order.add(yard, 0.1) == []
    assert order.add(replace(yard, sequence=6), 0.2) == [gate]


def test_streams_do_not_wait_for_each_other() -> None:
    order = settled(result(0), result(0, stream="yard", partition=1))
    assert order.add(result(2, partition=2), 2.0) == []
    assert sequences(order.add(result(1, stream="yard", partition=1), 2.0)) == [1]


def test_a_replayed_frame_is_given_at_once() -> None:
    order = settled(result(0), result(1))
    again = replace(result(0), attempt=1)
    assert order.add(again, 2.0) == [again]


def test_frames_that_nobody_could_read_pass() -> None:
    order = InOrder()
    odd = replace(result(-1, run=""), stream_id=UNREADABLE)
    assert order.add(odd, 0.0) == [odd]
    assert order.add(odd, 0.0) == [odd]
    assert order.late == 0
