import pytest
from hypothesis import given
from hypothesis import strategies as st

from framefuse.publishing.hold_back import Hold, HoldBack

STAGES = ("detection", "depth")


def sent_until_held(hold_back: HoldBack, now_s: float, *, most: int = 1000) -> int:
    """Hand over frames, each acknowledged at the next offset, until the partition is held."""
    end = hold_back._of(0).end
    for count in range(most):
        if hold_back.hold(0, now_s) is not None:
            return count
        hold_back.handed(0)
        hold_back.acknowledged(0, end + count)
    return most


def held(hold_back: HoldBack, now_s: float) -> Hold:
    found = hold_back.hold(0, now_s)
    assert found is not None
    return found


def test_without_any_worker_it_stops_at_the_limit_and_says_what_to_start() -> None:
    hold_back = HoldBack(limit=64)
    hold_back.observe(0, at_s=0.0, end=0, committed={})
    assert sent_until_held(hold_back, 0.0) == 64
    advice = held(hold_back, 0.0).advice(STAGES)
    assert advice is not None
    assert "'framefuse run detection' and 'framefuse run depth'" in advice
    assert "--in-flight 0" in advice


def test_zero_lifts_the_limit() -> None:
    assert sent_until_held(HoldBack(limit=0), 0.0) == 1000


def test_an_idle_group_gets_two_frames_to_begin_with() -> None:
    hold_back = HoldBack()
    hold_back.observe(0, at_s=0.0, end=10, committed={"detection": 10})
    assert sent_until_held(hold_back, 0.0) == 2


def test_lag_follows_what_was_drained_in_the_last_fifth_of_a_second() -> None:
    hold_back = HoldBack()
    hold_back.observe(0, at_s=0.0, end=100, committed={"detection": 80})
    hold_back.observe(0, at_s=0.1, end=100, committed={"detection": 90})
    hold_back.observe(0, at_s=0.2, end=100, committed={"detection": 98})
    assert sent_until_held(hold_back, 0.2) == 18 + 1 - 2
    assert held(hold_back, 0.2).allowed == 18


def test_sparse_observations_count_in_proportion() -> None:
    hold_back = HoldBack()
    hold_back.observe(0, at_s=0.0, end=100, committed={"detection": 0})
    hold_back.observe(0, at_s=2.0, end=100, committed={"detection": 100})
    assert held_after(hold_back, 2.0).allowed == 10


def held_after(hold_back: HoldBack, now_s: float) -> Hold:
    sent_until_held(hold_back, now_s)
    return held(hold_back, now_s)


def test_the_slower_group_decides() -> None:
    hold_back = HoldBack()
    hold_back.observe(0, at_s=0.0, end=100, committed={"detection": 60, "depth": 60})
    hold_back.observe(0, at_s=0.2, end=100, committed={"detection": 100, "depth": 62})
    hold = held(hold_back, 0.2)
    assert (hold.stage, hold.lag, hold.allowed) == ("depth", 38, 2)


def test_frames_on_their_way_count_as_lag() -> None:
    hold_back = HoldBack()
    hold_back.observe(0, at_s=0.0, end=0, committed={"detection": 0})
    for _ in range(2):
        hold_back.handed(0)
    assert held(hold_back, 0.0).lag == 2
    hold_back.acknowledged(0, None)
    assert hold_back.hold(0, 0.0) is None


def test_other_publishers_count_too() -> None:
    hold_back = HoldBack()
    hold_back.observe(0, at_s=0.0, end=500, committed={"detection": 0})
    assert held(hold_back, 0.0).lag == 500


def test_partitions_are_apart() -> None:
    hold_back = HoldBack()
    hold_back.observe(0, at_s=0.0, end=500, committed={"detection": 0})
    hold_back.observe(1, at_s=0.0, end=0, committed={"detection": 0})
    assert hold_back.hold(0, 0.0) is not None
    assert hold_back.hold(1, 0.0) is None


def test_a_group_that_stands_still_is_named_after_a_while() -> None:
    hold_back = HoldBack()
    for tenth in range(60):
        hold_back.observe(0, at_s=tenth / 10, end=50, committed={"depth": 3})
    assert held(hold_back, 1.0).advice(STAGES) is None
    advice = held(hold_back, 5.0).advice(STAGES)
    assert advice is not None
    assert "'framefuse run depth'" in advice
    assert "5 s" in advice


def test_a_group_that_had_nothing_to_do_is_not_blamed_for_standing_still() -> None:
    hold_back = HoldBack()
    for second in range(20):  # detection was away, and depth had done all there was
        hold_back.observe(0, at_s=float(second), end=10, committed={"detection": 5, "depth": 10})
    hold_back.observe(0, at_s=20.0, end=12, committed={"detection": 12, "depth": 10})
    hold = held(hold_back, 20.5)
    assert (hold.stage, hold.idle_s) == ("depth", 1.5)
    assert hold.advice(STAGES) is None
    assert "for 4 s" in str(held(hold_back, 23.0).advice(STAGES))


@given(
    rate=st.floats(2, 300),
    batch=st.integers(1, 8),
    pause_s=st.sampled_from([0.05, 0.08, 0.1]),
)
def test_a_file_keeps_the_worker_busy_and_the_queue_short(rate: float, batch: int, pause_s: float) -> None:
    """A worker that does `rate` frames a second, in batches of what is there, is never starved for long."""
    hold_back, end, done, now_s, ready_s, longest = HoldBack(), 0, 0, 0.0, 0.0, 0
    while now_s < 20.0:
        hold_back.observe(0, at_s=now_s, end=end, committed={"detection": done})
        next_look_s = now_s + pause_s
        while now_s < next_look_s:
            end += sent_until_held(hold_back, now_s)
            if now_s >= ready_s and done < end:
                step = min(batch, end - done)
                done, ready_s = done + step, now_s + step / rate
            longest = max(longest, end - done)
            now_s += 0.005
    assert longest <= 66
    assert longest <= max(8, rate * 0.2 + batch + 3)
    assert done >= min(rate * 0.5, 150) * 18


def test_the_limit_bounds_any_drain() -> None:
    hold_back = HoldBack(limit=64)
    hold_back.observe(0, at_s=0.0, end=5000, committed={"detection": 0})
    hold_back.observe(0, at_s=0.2, end=5000, committed={"detection": 5000})
    assert sent_until_held(hold_back, 0.2) == 65


def test_lag_is_that_of_the_slowest() -> None:
    hold_back = HoldBack()
    hold_back.observe(0, at_s=0.0, end=10, committed={"detection": 9, "depth": 4})
    assert hold_back.lag(0) == pytest.approx(6)
    assert hold_back.lag(1) == 0
