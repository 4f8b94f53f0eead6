"""The merge of the join against any interleaving: hypothesis plays publisher, stages, runtime and crashes.

FRAMEFUSE_EXAMPLES=5000 looks longer than the usual few seconds.
"""

import os
from datetime import timedelta
from enum import StrEnum

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from processors.join.log_merge import Limits, LogMerge
from processors.join.stage import fused
from schemas.records import Depth, Derived, Detections, Fused, Missing, Outcome, Side, Status
from schemas.topics import DEPTH, DETECTIONS
from tests.unit.builders import START, a_record, depth_of, detections_of, origin_at

SIDES = {Side.DETECTION: DETECTIONS.suffix, Side.DEPTH: DEPTH.suffix}
SUFFIXES = st.sampled_from(list(SIDES.values()))
POLLED = st.sampled_from([0, 1, 3, 20])
"""Records that a poll brings; often all there are."""
LIMITS = Limits(wait_s=2.0, pending_max=4, emitted_max=3)
LATE, NEVER = "late: timed out", "lost: no record"
OUTCOMES = {
    (Status.OK, Status.OK): Outcome.FUSED,
    (Status.OK,): Outcome.PARTIAL,
    (Status.EXPIRED, Status.OK): Outcome.PARTIAL,
    (Status.EXPIRED, Status.EXPIRED): Outcome.EXPIRED,
    (Status.EXPIRED,): Outcome.EXPIRED,
    (): Outcome.LOST,
}


class Act(StrEnum):
    """What a stage may do next, for the next frame or besides."""

    OK = "OK"
    EXPIRED = "EXPIRED"
    SKIP = "retention removed the frame"
    REPEAT = "a record comes once more"
    END_TRANSACTION = "a marker takes an offset"


class End(StrEnum):
    """How a turn of the runtime ends."""

    GO_ON = "commit"
    RESTART = "commit, then start anew"
    CRASH = "start anew without the commit"


class Joining(RuleBasedStateMachine):
    """One partition. Log entries are halves, or None for a transaction marker."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[Derived] = []
        self.logs: dict[str, list[Detections | Depth | None]] = {suffix: [] for suffix in SIDES.values()}
        self.told = dict.fromkeys(SIDES.values(), 0)
        self.passed_s = 0.0
        self.stepped_back_s = 0.0
        self.fused: list[Fused] = []
        self.uncommitted: list[Fused] = []
        self.note = ""
        self.committed = dict.fromkeys(SIDES.values(), 0)

    @initialize()
    def start(self) -> None:
        self.merge = LogMerge(list(SIDES.values()), fused, limits=LIMITS)
        self.ends = {suffix: len(log) for suffix, log in self.logs.items()}
        self.positions = dict(self.committed)
        self.merge.assigned(0, [self.note, self.note], self.ends)
        for suffix, position in self.positions.items():
            self.merge.reached(suffix, 0, position)
        self.halves_in = self.halves_out = 0

    # What the world does.

    @rule(suffix=SUFFIXES, live=st.booleans(), acts=st.lists(st.sampled_from(Act), min_size=1, max_size=12))
    def a_stage_works(self, suffix: str, live: bool, acts: list[Act]) -> None:
        log = self.logs[suffix]
        for act in acts:
            if act is Act.END_TRANSACTION:
                log.append(None)
            elif act is Act.REPEAT:
                log.extend(log[-2:-1])
            else:
                if self.told[suffix] == len(self.frames):
                    self.publish(live=live)
                if act is Act.SKIP:
                    self.told[suffix] += 1
                else:
                    self.tell(suffix, self.frames[self.told[suffix]], Status(act))

    def publish(self, *, live: bool) -> None:
        appended_at = START + timedelta(seconds=self.passed_s)
        self.frames.append(origin_at(len(self.frames), live=live, appended_at=appended_at))

    # What the runtime does.

    @rule(detections=POLLED, depth=POLLED, end=st.sampled_from(End))
    def turn(self, detections: int, depth: int, end: End) -> None:
        self.poll(DETECTIONS.suffix, detections)
        self.poll(DEPTH.suffix, depth)
        self.advance()
        if end is not End.CRASH:
            self.commit()
        if end is not End.GO_ON:
            self.uncommitted = []
            self.start()

    @rule(
        step_s=st.sampled_from([0.1, 0.3, 1.0]),
        turns=st.sampled_from([1, 5, 12]),
        clock_steps_back_s=st.sampled_from([0.0, 0.0, 0.5, 3600.0]),
    )
    def idle(self, step_s: float, turns: int, clock_steps_back_s: float) -> None:
        self.stepped_back_s += clock_steps_back_s
        for _ in range(turns):
            self.passed_s += step_s
            self.advance()

    def poll(self, suffix: str, n: int) -> None:
        if self.merge.crowded(suffix, 0):
            return
        start = self.positions[suffix]
        for offset, half in enumerate(self.logs[suffix][start : start + n], start):
            if half is not None:
                self.merge.add(suffix, a_record(half, suffix, offset))
                self.halves_in += 1
            self.positions[suffix] = offset + 1
        self.merge.reached(suffix, 0, self.positions[suffix])

    def advance(self) -> None:
        now = START + timedelta(seconds=self.passed_s - self.stepped_back_s)
        results = [emission.value for emission in self.merge.advance(0, now)]
        for result in results:
            self.check(result)
        self.uncommitted += results

    def commit(self) -> None:
        safe = self.merge.safe(0, self.positions)
        self.committed, self.note = dict(safe.offsets), safe.note
        self.fused += self.uncommitted
        self.uncommitted = []

    # What must hold.

    def check(self, result: Fused) -> None:
        """An outcome says what its sides said, and whom it did not wait for."""
        frame, absent = self.frames[result.frame.offset], {why.side: why for why in result.missing}
        statuses = []
        for side, suffix in SIDES.items():
            status = self.said(suffix, frame.frame.offset)
            match absent.get(side):
                case Missing(reason=reason) if reason == LATE:
                    assert self.positions[suffix] >= self.ends[suffix]
                    if result.outcome is not Outcome.LOST:
                        assert frame.live
                        assert self.passed_s > (frame.frame.appended_at - START).total_seconds() + 2.0
                case Missing(reason=reason) if reason == NEVER:
                    assert status is None
                case _:
                    assert status is not None
                    statuses.append(status)
        self.halves_out += len(statuses)
        assert result.outcome is OUTCOMES[tuple(sorted(statuses))]

    @invariant()
    def every_frame_has_one_outcome_in_order(self) -> None:
        offsets = [result.frame.offset for result in (*self.fused, *self.uncommitted)]
        assert offsets == list(range(offsets[0], offsets[0] + len(offsets))) if offsets else True

    @invariant()
    def every_half_is_accounted_for(self) -> None:
        merge = self.merge
        assert self.halves_in == merge.received
        assert merge.received == self.halves_out + merge.pending + merge.late + merge.duplicates

    def teardown(self) -> None:
        """When both sides have told everything, nothing stays behind."""
        self.publish(live=False)
        last = self.frames[-1]
        for suffix in SIDES.values():
            self.tell(suffix, last, Status.OK)
        for _ in range(len(self.frames) + sum(map(len, self.logs.values()))):
            for suffix in SIDES.values():
                self.poll(suffix, 3)
            self.advance()
        self.commit()
        self.every_frame_has_one_outcome_in_order()
        assert self.fused[-1].frame.offset == last.frame.offset
        assert self.merge.pending == 0

    def tell(self, suffix: str, frame: Derived, status: Status) -> None:
        live, offset, appended_at = frame.live, frame.frame.offset, frame.frame.appended_at
        build = depth_of if suffix == DEPTH.suffix else detections_of
        self.logs[suffix].append(build(offset, status=status, live=live, appended_at=appended_at))
        self.told[suffix] = offset + 1

    def said(self, suffix: str, frame: int) -> Status | None:
        found = (half.status for half in self.logs[suffix] if half and half.frame.offset == frame)
        return next(found, None)


TestJoining = Joining.TestCase
TestJoining.settings = settings(
    max_examples=int(os.environ.get("FRAMEFUSE_EXAMPLES", "200")), stateful_step_count=30, deadline=None
)
