"""The shared ladder, alone and as two stages that never speak to each other, in virtual time."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framefuse.runtime.ladder import LAST_RUNG, Ladder
from framefuse.types import Record
from schemas.records import Frame
from tests.unit.builders import START, a_frame

BUDGET_S = 0.5
BATCH = 8


def a_record(stream: str, sequence: int, *, live: bool = True, budget_ms: int | None = 500) -> Record[Frame]:
    frame = a_frame(stream, sequence, live=live, freshness_ms=budget_ms)
    return Record(frame, "frames", 0, sequence, START)


def ladder_at(rung: int) -> Ladder:
    ladder = Ladder()
    for step in range(rung):
        ladder.note(0.9, float(step))
    assert ladder.rung == rung
    return ladder


def kept(ladder: Ladder, stream: str, count: int) -> set[int]:
    return {number for number in range(count) if ladder.refuses(a_record(stream, number)) is None}


@dataclass
class Stage:
    """A stage as the worker runs it: batches, one after the other, `cost_s` for each computed frame."""

    cost_s: float
    computed: dict[tuple[str, int], float] = field(default_factory=dict)
    """By stream and sequence: the delay from append to result."""

    def run(self, arrivals: Sequence[tuple[float, Record[Frame]]], *, shed: bool = True) -> "Stage":
        ladder, now_s, at, dice = Ladder(), 0.0, 0, random.Random(3)
        while at < len(arrivals):
            now_s = max(now_s, arrivals[at][0])
            batch: list[tuple[float, Record[Frame]]] = []
            while at < len(arrivals) and len(batch) < BATCH and arrivals[at][0] <= now_s:
                batch.append(arrivals[at])
                at += 1
            worth = []
            for appended_s, record in batch:
                share = (now_s - appended_s) / BUDGET_S
                if share > 1 or (shed and ladder.refuses(record) is not None):
                    continue
                ladder.note(share, now_s)
                worth.append((appended_s, record.value))
            now_s += sum(self.cost_s * dice.uniform(0.7, 1.3) for _ in worth)
            for appended_s, frame in worth:
                self.computed[frame.stream_id, frame.sequence] = now_s - appended_s
        return self


def cameras(count: int, fps: float, seconds: float) -> list[tuple[float, Record[Frame]]]:
    dice = random.Random(1)
    frames = [
        (number / fps + 0.003 * camera + dice.random() * 0.01, a_record(f"camera-{camera}", number))
        for camera in range(count)
        for number in range(int(seconds * fps))
    ]
    return sorted(frames, key=lambda frame: frame[0])


def share_of_the_slower(stages: Iterable[Stage]) -> float:
    one, other = (set(stage.computed) for stage in stages)
    return len(one & other) / min(len(one), len(other))


@given(stream=st.text("abcdef-123", min_size=1, max_size=8), low=st.integers(0, 5))
def test_what_a_stage_keeps_every_stage_on_a_lower_rung_keeps_too(stream: str, low: int) -> None:
    many, few = kept(ladder_at(low), stream, 256), kept(ladder_at(low + 1), stream, 256)
    assert few < many
    assert (len(many), len(few)) == (256 >> low, 256 >> (low + 1))


def test_files_and_frames_that_never_expire_are_kept_on_every_rung() -> None:
    ladder = ladder_at(LAST_RUNG)
    for number in range(64):
        assert ladder.refuses(a_record("film", number, live=False)) is None
        assert ladder.refuses(a_record("film", number, budget_ms=None)) is None


def test_cameras_that_start_together_do_not_keep_the_same_sequences() -> None:
    ladder = ladder_at(2)
    assert len({min(kept(ladder, f"camera-{number}", 8)) for number in range(16)}) > 1


def test_a_stage_that_keeps_up_sheds_nothing() -> None:
    arrivals = cameras(8, fps=15, seconds=30)
    assert len(Stage(0.9 / 120).run(arrivals).computed) == len(arrivals)


@pytest.mark.parametrize("load", [1.2, 1.5, 2.0, 3.0, 6.0, 10.0])
def test_under_overload_nine_of_ten_frames_that_the_slower_stage_keeps_are_kept_by_both(load: float) -> None:
    arrivals = cameras(8, fps=15, seconds=60)
    stages = [Stage(load / 120).run(arrivals), Stage(1.1 * load / 120).run(arrivals)]
    assert share_of_the_slower(stages) >= 0.9
    for stage in stages:
        assert len(stage.computed) * stage.cost_s > 0.4 * 60, "the stage idles while it sheds"
        delays = sorted(stage.computed.values())
        assert delays[int(0.95 * len(delays))] <= BUDGET_S + BATCH * stage.cost_s


def test_without_a_ladder_two_overloaded_stages_share_few_frames() -> None:
    arrivals = cameras(8, fps=15, seconds=60)
    stages = [Stage(3.0 / 120).run(arrivals, shed=False), Stage(3.3 / 120).run(arrivals, shed=False)]
    assert share_of_the_slower(stages) < 0.5


def test_when_the_load_goes_every_frame_is_kept_again_soon() -> None:
    ladder = ladder_at(3)
    for tenth in range(31, 200):
        ladder.note(0.05, tenth / 10)
    assert ladder.rung == 0


def test_a_rung_that_was_too_low_is_tried_again_ever_later() -> None:
    ladder, tries_s, now_s = ladder_at(1), [], 1.0
    while now_s < 200:
        now_s += 0.05
        before = ladder.rung
        ladder.note(0.9 if ladder.rung == 0 else 0.05, now_s)
        if ladder.rung < before:
            tries_s.append(now_s)
    waits = [round(later - earlier) for earlier, later in pairwise(tries_s)]
    assert len(tries_s) >= 3
    assert waits == sorted(waits)
    assert waits[-1] > 4 * waits[0]
