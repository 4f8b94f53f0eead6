"""Who publishes which stream, until when, and how soon again: the pure parts of a fleet."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from producers.fleet.feed import Backoff
from producers.fleet.fleet import LEASE_S
from producers.fleet.lease import Lease, clock_s
from producers.fleet.roster import Entry, Roster
from schemas.records import Stream
from tests.unit.builders import START

GATE = Stream(stream_id="gate", source="camera:0", live=True)
ENTRY = Entry(GATE, START)


def a_roster(*partitions: int) -> Roster:
    roster = Roster()
    roster.assigned(partitions)
    return roster


def test_a_stream_is_ours_once_its_partition_has_been_read_to_the_end() -> None:
    roster = a_roster(3)
    roster.declare(3, "gate", ENTRY)
    assert roster.ours() == {}
    roster.complete(3)
    assert roster.ours() == {"gate": ENTRY}


def test_an_old_declaration_is_never_opened_when_a_newer_one_follows() -> None:
    roster = a_roster(3)
    roster.declare(3, "gate", ENTRY)
    roster.declare(3, "yard", ENTRY)
    roster.declare(3, "yard", None)
    newer = Entry(replace(GATE, fps=5.0), START)
    roster.declare(3, "gate", newer)
    roster.complete(3)
    assert roster.ours() == {"gate": newer}


def test_a_revoked_partition_takes_its_streams_with_it_and_comes_back_empty() -> None:
    roster = a_roster(3, 4)
    roster.declare(3, "gate", ENTRY)
    roster.declare(4, "yard", ENTRY)
    for partition in (3, 4):
        roster.complete(partition)
    roster.revoked([3])
    roster.declare(3, "late", ENTRY)
    assert set(roster.ours()) == {"yard"}
    roster.assigned([3])
    assert set(roster.ours()) == {"yard"}


def test_of_a_stream_in_two_partitions_the_later_declaration_counts() -> None:
    roster = a_roster(1, 2)
    later = Entry(replace(GATE, fps=5.0), START + timedelta(seconds=1))
    roster.declare(1, "gate", later)
    roster.declare(2, "gate", ENTRY)
    for partition in (1, 2):
        roster.complete(partition)
    assert roster.ours() == {"gate": later}


def test_a_lease_holds_while_it_is_renewed_in_time() -> None:
    lease = Lease(4.5, now_s=100.0)
    assert lease.renew(104.0)
    assert lease.holds(108.4)
    assert not lease.holds(108.5)


def test_a_lease_that_has_ended_is_never_renewed() -> None:
    lease = Lease(4.5, now_s=100.0)
    assert not lease.renew(110.0)
    assert not lease.renew(110.1)
    assert not lease.holds(110.2)
    ended = Lease(4.5, now_s=100.0)
    ended.end()
    assert not ended.holds(100.0)
    assert not ended.renew(100.0)


@given(st.lists(st.floats(0, 10), max_size=30), st.floats(0, 10))
def test_no_lease_outlives_a_pause_of_its_length(steps_s: list[float], pause_s: float) -> None:
    lease, now_s, lapsed = Lease(LEASE_S, 0.0), 0.0, False
    for step_s in steps_s:
        now_s += step_s
        lapsed = lapsed or step_s >= LEASE_S
        lease.renew(now_s)
    assert lease.holds(now_s + pause_s) == (not lapsed and pause_s < LEASE_S) or abs(pause_s - LEASE_S) < 1e-9


def test_the_clock_of_leases_never_goes_back() -> None:
    assert clock_s() <= clock_s()


def test_a_camera_that_keeps_failing_is_tried_ever_less_often_until_a_run_was_good() -> None:
    backoff = Backoff()
    assert [backoff.pause_s(0.0) for _ in range(7)] == [1, 2, 4, 8, 16, 30, 30]
    assert backoff.pause_s(ran_s=60.0) == 1
    assert backoff.pause_s(ran_s=5.0) == 2
