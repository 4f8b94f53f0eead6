"""When a camera is silent for too long, how long to wait for it, and where its pictures are in time."""

import pytest

from producers.capture.timeline import Timeline
from producers.capture.watchdog import Backoff, Patience, Watchdog


def test_a_camera_is_stalled_then_hopeless_and_neither_once_a_picture_came() -> None:
    watchdog = Watchdog(0.0, Patience(first_s=5, least_s=2, given_up_after=3))
    assert not watchdog.stalled(5.0)
    watchdog.picture(5.0)
    assert not watchdog.stalled(7.0)
    assert watchdog.stalled(7.1)
    assert not watchdog.hopeless(11.0)
    assert watchdog.hopeless(11.1)
    watchdog.picture(12.0)
    assert not watchdog.stalled(12.1)


def test_a_slow_camera_may_be_silent_for_two_of_its_intervals() -> None:
    watchdog = Watchdog(0.0, Patience())
    for at_s in (0.0, 10.0, 20.0):
        watchdog.picture(at_s)
    assert watchdog.allowed_s == 20.0


def test_waits_double_up_to_a_limit_and_begin_anew_after_a_good_connection() -> None:
    backoff = Backoff(lambda: 1.0)
    assert [backoff.wait_s() for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert backoff.wait_s(lived_s=60.0) == 0.5


def test_a_refused_login_waits_long_at_once() -> None:
    assert Backoff(lambda: 1.0).wait_s(refused=True) == 30.0


def test_pictures_keep_the_times_of_the_camera_and_tell_how_late_they_are() -> None:
    timeline = Timeline(100.0)
    assert timeline.place(50.0, 101.0).pts_s == 1.0
    late = timeline.place(50.1, 101.4)
    assert late.pts_s == pytest.approx(1.1)
    assert late.late_s == pytest.approx(0.3)


@pytest.mark.parametrize("raw_s", [0.0, 5000.0])
def test_time_does_not_fall_or_leap_when_the_timestamps_begin_anew(raw_s: float) -> None:
    timeline = Timeline(0.0)
    timeline.place(50.0, 1.0)
    assert timeline.place(raw_s, 2.0).pts_s == 2.0
