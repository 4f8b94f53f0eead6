"""How far a file publisher may run ahead of the workers, so that it never starves a live stream.

A partition is held while its lag in a watched group exceeds what the group drained in the last 0.2 s, at
least 1, at most `limit`. While no watched group has a committed offset, `limit` frames may be sent. Knows no
clock and no Kafka; not thread-safe.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

DEFAULT_LIMIT = 64
WINDOW_S = 0.2
_PATIENCE_S = 3.0


@dataclass(frozen=True, slots=True)
class Hold:
    """Why a partition is held."""

    partition: int
    lag: int
    allowed: int
    stage: str | None
    """The stage that is behind; None: no stage has ever read this partition."""
    idle_s: float
    """Seconds since that stage moved on, or had nothing to do."""

    def advice(self, stages: tuple[str, ...], flags: str = "") -> str | None:
        """What the user can do, once waiting alone will not help.

        Args:
            stages: those that are watched.
            flags: that lead a command to these topics.
        """
        if self.stage is None:
            runs = " and ".join(f"'framefuse run {stage}{flags}'" for stage in stages)
            return (
                f"{self.lag} frames wait on partition {self.partition} and no worker has ever read it: "
                f"start {runs}, or lift the limit with --in-flight 0"
            )
        if self.idle_s < _PATIENCE_S:
            return None
        return (
            f"{self.lag} frames wait on partition {self.partition} for {self.stage}, which has not moved for "
            f"{self.idle_s:.0f} s: is 'framefuse run {self.stage}{flags}' running?"
        )


@dataclass(frozen=True, slots=True)
class _Seen:
    at_s: float
    committed: Mapping[str, int]


@dataclass(slots=True)
class _Partition:
    end: int = 0
    unacknowledged: int = 0
    sent: int = 0
    seen: deque[_Seen] = field(default_factory=deque)
    moved_s: dict[str, float] = field(default_factory=dict)
    """By stage, when it last moved on or was last seen without work: one that had none is not to blame."""

    def drained(self, stage: str, now_s: float) -> float:
        """Frames that the stage did in the last window; in proportion where observations are sparse."""
        latest, base = self.seen[-1], self.seen[0]
        if stage not in base.committed:
            return 0.0
        span_s = max(now_s - base.at_s, WINDOW_S)
        return max(0, latest.committed[stage] - base.committed[stage]) * WINDOW_S / span_s


class HoldBack:
    """Lag and drain of every partition, and whether it may take one more frame."""

    def __init__(self, *, limit: int = DEFAULT_LIMIT) -> None:
        """Hold every partition at `limit` frames at most; 0 never holds."""
        self._limit = limit
        self._partitions: dict[int, _Partition] = {}

    def observe(self, partition: int, *, at_s: float, end: int, committed: Mapping[str, int]) -> None:
        """Take in what the broker says.

        Args:
            partition: its number.
            at_s: monotonic seconds.
            end: end offset of `frames`.
            committed: offset by stage, only stages that have one.
        """
        state = self._of(partition)
        state.end = max(state.end, end)
        before = state.seen[-1].committed if state.seen else {}
        for stage, offset in committed.items():
            if before.get(stage) != offset or offset >= state.end + state.unacknowledged:
                state.moved_s[stage] = at_s
        state.seen.append(_Seen(at_s, dict(committed)))
        while len(state.seen) > 1 and state.seen[1].at_s <= at_s - WINDOW_S:
            state.seen.popleft()

    def handed(self, partition: int) -> None:
        """One frame is on its way to this partition."""
        state = self._of(partition)
        state.sent += 1
        state.unacknowledged += 1

    def acknowledged(self, partition: int, offset: int | None) -> None:
        """That frame has its offset, or None: it never arrived."""
        state = self._of(partition)
        state.unacknowledged -= 1
        if offset is None:
            state.sent -= 1
        else:
            state.end = max(state.end, offset + 1)

    def hold(self, partition: int, now_s: float) -> Hold | None:
        """Why the partition may not take one more frame now; None: it may."""
        state = self._of(partition)
        if self._limit == 0:
            return None
        committed = state.seen[-1].committed if state.seen else {}
        if not committed:
            full = state.sent >= self._limit
            return Hold(partition, state.sent, self._limit, None, 0.0) if full else None
        holds = (self._by_stage(partition, state, stage, now_s) for stage in sorted(committed))
        return max(filter(None, holds), key=lambda hold: hold.lag, default=None)

    def lag(self, partition: int) -> int:
        """Frames that the slowest watched stage still has to do; 0 while none has an offset."""
        state = self._of(partition)
        committed = state.seen[-1].committed if state.seen else {}
        return max((state.end + state.unacknowledged - offset for offset in committed.values()), default=0)

    def _by_stage(self, partition: int, state: _Partition, stage: str, now_s: float) -> Hold | None:
        lag = state.end + state.unacknowledged - state.seen[-1].committed[stage]
        allowed = min(max(1, int(state.drained(stage, now_s))), self._limit)
        if lag <= allowed:
            return None
        return Hold(partition, lag, allowed, stage, now_s - state.moved_s[stage])

    def _of(self, partition: int) -> _Partition:
        return self._partitions.setdefault(partition, _Partition())
