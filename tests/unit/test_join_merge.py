"""The merge of the join by examples; `test_join_merge_model.py` has the properties."""

import re
from collections.abc import Iterable
from dataclasses import replace

import pytest

from framefuse.errors import Stop
from framefuse.types import unreadable
from processors.join.log_merge import Limits, LogMerge
from processors.join.stage import fused, map_bytes
from schemas.records import UNREADABLE, Depth, Detections, Fused, Outcome
from schemas.topics import DEPTH, DETECTIONS
from tests.unit.builders import a_record, at, depth_of, detections_of

FUSED, PARTIAL, LOST = Outcome.FUSED, Outcome.PARTIAL, Outcome.LOST
SIDES = (DETECTIONS.suffix, DEPTH.suffix)
WAIT_S = 2.0


class Driver:
    """What the runtime does around a merge, for one partition; input offset = 10 × frame offset."""

    def __init__(self, *, notes: Iterable[str] = (), ends: tuple[int, int] = (0, 0), **limits: int) -> None:
        self.merge = LogMerge(SIDES, fused, limits=Limits(wait_s=WAIT_S, **limits), size_bytes_of=map_bytes)
        self.merge.assigned(0, list(notes), dict(zip(SIDES, ends, strict=True)))

    def add(self, *halves: Detections | Depth) -> None:
        for half in halves:
            suffix = DEPTH.suffix if isinstance(half, Depth) else DETECTIONS.suffix
            self.merge.add(suffix, a_record(half, f"framefuse.{suffix}", 10 * half.frame.offset))

    def advance(self, seconds: float = 0.0) -> list[Fused]:
        return [emission.value for emission in self.merge.advance(0, at(seconds))]

    def outcomes(self, seconds: float = 0.0) -> list[tuple[int, Outcome]]:
        return [(result.frame.offset, result.outcome) for result in self.advance(seconds)]

    def wait(self, until_s: float) -> list[tuple[int, Outcome]]:
        """Advance every 0.1 s from 0, as an idle runtime does."""
        return [found for tick in range(round(until_s * 10) + 1) for found in self.outcomes(tick / 10)]


def test_two_halves_are_fused_at_once_whichever_side_comes_first() -> None:
    join = Driver()
    join.add(detections_of(5), depth_of(5), depth_of(6), detections_of(6))

    assert join.outcomes() == [(5, FUSED), (6, FUSED)]


def test_a_half_whose_other_side_has_passed_is_decided_at_once() -> None:
    join = Driver()
    join.add(detections_of(5), detections_of(6), depth_of(6))

    first, second = join.advance()

    assert (first.outcome, second.outcome) == (PARTIAL, FUSED)
    assert [why.reason for why in first.missing] == ["lost: no record"]


def test_a_frame_of_a_file_waits_as_long_as_it_takes() -> None:
    join = Driver()
    join.add(detections_of(5, live=False))

    assert join.outcomes() == []
    assert join.outcomes(86_400) == []
    join.add(depth_of(5))
    assert join.outcomes(86_401) == [(5, FUSED)]


def test_a_live_frame_waits_until_its_time_is_over_and_no_longer() -> None:
    join = Driver()
    join.add(depth_of(5, live=True))

    assert join.wait(WAIT_S) == []
    (result,) = join.advance(WAIT_S + 0.1)
    assert result.outcome is PARTIAL
    assert [why.reason for why in result.missing] == ["late: timed out"]
    assert join.merge.timed_out == 1


def test_a_live_frame_behind_a_frame_of_a_file_waits_with_it() -> None:
    join = Driver()
    join.add(detections_of(5, live=False), detections_of(6, live=True))

    assert join.wait(10 * WAIT_S) == []


def test_nothing_times_out_before_the_missing_side_is_read_to_where_it_ended_at_assignment() -> None:
    join = Driver(ends=(0, 52))
    join.add(detections_of(5, live=True))

    assert join.wait(10 * WAIT_S) == []
    join.merge.reached(DEPTH.suffix, 0, 52)
    assert join.outcomes(10 * WAIT_S + 0.1) == [(5, PARTIAL)]


def test_a_leading_side_paused_short_of_its_end_does_not_hold_up_its_own_frames() -> None:
    join = Driver(ends=(1_000_000, 0), pending_max=2)
    join.add(detections_of(5, live=True), detections_of(6, live=True))

    assert join.merge.crowded(DETECTIONS.suffix, 0)
    assert join.wait(2 * WAIT_S) == [(5, PARTIAL), (6, PARTIAL)]


def test_after_a_stall_the_other_half_still_has_time_to_be_read() -> None:
    join = Driver()
    join.advance(0)
    join.add(detections_of(5, live=True, appended_at=at(1)))

    assert join.outcomes(30) == []
    assert join.outcomes(60) == []
    join.add(depth_of(5, live=True, appended_at=at(1)))
    assert join.outcomes(60.1) == [(5, FUSED)]


def test_a_clock_that_steps_back_decides_nothing_early_and_blocks_nothing_for_long() -> None:
    join = Driver()
    join.add(depth_of(5, live=True))
    assert join.wait(1.0) == []

    after_the_step = [join.outcomes(tick / 10 - 3600) for tick in range(20)]

    assert after_the_step.index([(5, PARTIAL)]) == 11


def test_a_late_half_never_changes_an_outcome_and_is_counted() -> None:
    join = Driver()
    join.add(depth_of(5, live=True))
    assert join.wait(3) == [(5, PARTIAL)]

    join.add(detections_of(5, live=True))

    assert join.outcomes(4) == []
    assert (join.merge.late, join.merge.duplicates) == (1, 0)


def test_a_log_that_repeats_or_steps_back_is_counted_and_changes_nothing() -> None:
    join = Driver()
    join.add(detections_of(5), detections_of(7), detections_of(7), detections_of(6))
    join.add(depth_of(5), depth_of(7))

    assert join.outcomes() == [(5, FUSED), (6, LOST), (7, FUSED)]
    assert (join.merge.late, join.merge.duplicates, join.merge.received) == (0, 2, 6)


def test_offsets_that_no_side_has_are_lost_frames_with_a_head_of_their_own() -> None:
    join = Driver(notes=["3"])
    join.add(detections_of(6, appended_at=at(1)), depth_of(6, appended_at=at(1)))

    lost, also_lost, complete = join.advance(2)

    assert [lost.outcome, also_lost.outcome, complete.outcome] == [LOST, LOST, FUSED]
    assert (lost.stream_id, lost.frame) == (UNREADABLE, replace(complete.frame, offset=4))
    assert [why.reason for why in lost.missing] == ["lost: no record"] * 2
    assert lost.frame_id != also_lost.frame_id


def test_the_first_frame_ever_seen_is_where_it_starts() -> None:
    join = Driver()
    join.add(detections_of(1000), depth_of(1000))

    assert join.outcomes() == [(1000, FUSED)]


def test_after_a_restart_nothing_up_to_the_note_is_emitted_again() -> None:
    join = Driver(notes=["4", "5"])
    join.add(detections_of(5), depth_of(4), depth_of(5), detections_of(6), depth_of(6))

    assert join.outcomes() == [(6, FUSED)]
    assert join.merge.late == 3


def test_what_may_be_committed_is_the_first_record_of_each_side_that_is_not_emitted() -> None:
    join = Driver(notes=["4"])
    join.add(detections_of(5), detections_of(6), detections_of(7), depth_of(5))
    join.advance()

    safe = join.merge.safe(0, {DETECTIONS.suffix: 71, DEPTH.suffix: 53})

    assert safe.offsets == {DETECTIONS.suffix: 60, DEPTH.suffix: 53}
    assert safe.note == "5"


def test_before_the_first_outcome_the_note_is_empty() -> None:
    join = Driver()
    join.add(detections_of(5))

    assert join.merge.safe(0, {DETECTIONS.suffix: 51, DEPTH.suffix: 0}).note == ""


def test_a_gap_of_a_million_frames_comes_in_parts_that_each_can_be_committed() -> None:
    join = Driver(notes=["0"], emitted_max=100)
    join.add(detections_of(1_000_000), depth_of(1_000_000))

    assert join.outcomes() == [(frame, LOST) for frame in range(1, 101)]
    safe = join.merge.safe(0, {DETECTIONS.suffix: 10_000_001, DEPTH.suffix: 10_000_001})
    assert (safe.note, set(safe.offsets.values())) == ("100", {10_000_000})
    assert join.outcomes()[0] == (101, LOST)


def test_large_maps_come_in_parts_too() -> None:
    join = Driver(emitted_max_bytes=1)
    join.add(detections_of(5), depth_of(5), detections_of(6), depth_of(6))

    assert join.outcomes() == [(5, FUSED)]
    assert join.outcomes() == [(6, FUSED)]


def test_a_side_that_leads_by_its_limit_is_crowded_until_it_has_drained_to_half() -> None:
    join = Driver(pending_max=4)
    join.add(*(detections_of(frame) for frame in range(3)))
    assert not join.merge.crowded(DETECTIONS.suffix, 0)

    join.add(detections_of(3))
    assert join.merge.crowded(DETECTIONS.suffix, 0)
    assert not join.merge.crowded(DEPTH.suffix, 0)

    join.add(depth_of(0), depth_of(1))
    join.advance()
    assert join.merge.crowded(DETECTIONS.suffix, 0)
    join.add(depth_of(2))
    join.advance()
    assert not join.merge.crowded(DETECTIONS.suffix, 0)


def test_a_side_is_crowded_by_bytes_of_maps_as_well() -> None:
    join = Driver(pending_max_bytes=2 * map_bytes(depth_of(0)))
    join.add(depth_of(0))
    assert not join.merge.crowded(DEPTH.suffix, 0)

    join.add(depth_of(1))

    assert join.merge.crowded(DEPTH.suffix, 0)


def test_partitions_do_not_know_of_each_other() -> None:
    join = Driver()
    join.merge.assigned(1, [], dict.fromkeys(SIDES, 0))
    join.add(detections_of(5))
    join.merge.add(DEPTH.suffix, a_record(depth_of(5, partition=1), "framefuse.depth", 0, partition=1))

    assert (join.merge.advance(0, at(0)), join.merge.advance(1, at(0))) == ([], [])
    assert join.merge.pending == 2
    join.merge.revoked(1)
    assert join.merge.pending == 1


def test_a_head_that_one_side_could_not_read_comes_from_the_other() -> None:
    join = Driver()
    depth = depth_of(5)
    join.add(Detections(**unreadable(depth.frame).head(), status=detections_of(5).status), depth)

    (result,) = join.advance()

    assert (result.outcome, result.stream_id, result.frame_id) == (FUSED, "gate", depth.frame_id)


def test_halves_of_different_frames_at_one_offset_are_never_brought_together() -> None:
    join = Driver()
    join.add(detections_of(5, stream="gate"), depth_of(5, stream="yard"))

    with pytest.raises(Stop, match=re.escape("framefuse.frames/0 offset 5")):
        join.advance()


def test_a_note_that_is_none_of_ours_stops_the_worker() -> None:
    with pytest.raises(Stop, match="another program commits to this consumer group"):
        Driver(notes=["committed by hand"])


def test_outcomes_are_keyed_by_their_stream() -> None:
    join = Driver()
    join.add(detections_of(5, stream="yard"), depth_of(5, stream="yard"))

    assert [emission.key for emission in join.merge.advance(0, at(0))] == [b"yard"]
