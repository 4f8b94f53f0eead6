"""What a watcher knows: each stream's results lately, the ledger since it began, the lag of each stage. Pure.

Time comes in as an argument.
"""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from framefuse.audit.ledger import Ledger, Tally
from framefuse.types import Partition
from schemas.records import Fused, Outcome

RATE_WINDOW = timedelta(seconds=5)
OLD = timedelta(minutes=1)
"""A result that is read so long after it was made tells nothing of the rate."""
LATENCY_RECORDS = 500
_REMEMBERED = 1_000_000
"""Frames with a letter whose replay takes their place in the ledger; of older ones it is a frame more."""
PATIENCE_S = 15.0
"""A stage with members and something to read that stands still for longer does not move."""


@dataclass(frozen=True, slots=True)
class StageLag:
    """How far one stage is behind its input."""

    stage: str
    workers: int
    behind: int | None
    """Offsets it has not read; None before it ever committed."""
    before_outcome: bool
    """It works on frames that have no outcome yet: it is never behind by more frames than are in flight."""
    first_frames: Mapping[int, int] | None = None
    """By partition, the first frame whose outcome it has not read, for a stage that reads outcomes."""
    per_second: float | None = None
    """Frames lately; None where it cannot be told."""
    settled: bool = True
    """Its group is not sharing out its partitions just now."""
    beyond_the_end: bool = False
    """It has committed an offset that its topic does not reach: the topic was made anew."""
    strangers: Sequence[str] = ()
    """Members of its group that read something else."""
    committed: Mapping[Partition, int] = field(default_factory=dict)
    """Where it stands in its input."""
    still_s: float = 0.0
    """How long it has stood there, seen from here, with something to read from each of its topics."""
    patience_s: float = PATIENCE_S
    """How long it may: a sink that collects for long stands still for as long."""

    @property
    def does_not_move(self) -> bool:
        """Somebody runs it, and it does not do its work."""
        return bool(self.workers) and self.settled and self.still_s > self.patience_s


class Stillness:
    """For how long a group has stood where it stands, with something to read."""

    def __init__(self) -> None:
        self._at: Mapping[Partition, int] = {}
        self._since_s: float | None = None

    def add(self, committed: Mapping[Partition, int], now_s: float, *, unread: bool) -> float:
        """Take a look at it; seconds since it moved, 0 where it has read everything."""
        if not unread:
            self._since_s = None
        elif self._since_s is None or committed != self._at:
            self._since_s = now_s
        self._at = committed
        return 0.0 if self._since_s is None else now_s - self._since_s


class Rate:
    """How fast committed offsets move, over the last seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()
        self._partitions: frozenset[int] = frozenset()

    def add(self, committed: Mapping[int, int], now_s: float) -> float | None:
        """Take a look at them; offsets a second, None before there were two looks."""
        if self._partitions != committed.keys():  # a partition more is no progress
            self._partitions = frozenset(committed)
            self._seen.clear()
        self._seen.append((now_s, sum(committed.values())))
        while now_s - self._seen[0][0] > RATE_WINDOW.total_seconds() and len(self._seen) > 2:
            self._seen.popleft()
        (first_s, first), (_, last) = self._seen[0], self._seen[-1]
        return (last - first) / (now_s - first_s) if now_s > first_s else None


@dataclass(slots=True)
class StreamWatch:
    """One stream as its results come in."""

    stream_id: str
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    last: Fused | None = None
    _latencies_ms: deque[float] = field(default_factory=lambda: deque(maxlen=LATENCY_RECORDS))
    _arrivals: deque[datetime] = field(default_factory=deque)

    def add(self, fused: Fused, now: datetime) -> None:
        """Take a result."""
        self.outcomes[fused.outcome] += 1
        self.last = fused
        self._latencies_ms.append(latency_ms(fused))
        if now - fused.fused_at < OLD:
            self._arrivals.append(now)
        self._forget(now)

    @property
    def frames(self) -> int:
        """Results so far."""
        return self.outcomes.total()

    def per_second(self, now: datetime) -> float:
        """Results a second, over the last few seconds."""
        self._forget(now)
        if len(self._arrivals) < 2:
            return 0.0
        # A stream that has just begun is divided by the time it has lasted.
        return len(self._arrivals) / max((now - self._arrivals[0]).total_seconds(), 1.0)

    def quiet(self, now: datetime) -> timedelta | None:
        """How old the last result is, when none came lately."""
        self._forget(now)
        return now - self.last.fused_at if self.last and not self._arrivals else None

    def latency_ms(self, share: float) -> float | None:
        """The latency that this share (0 to 1) of the last results stayed below."""
        if not self._latencies_ms:
            return None
        ordered = sorted(self._latencies_ms)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    def _forget(self, now: datetime) -> None:
        while self._arrivals and self._arrivals[0] < now - RATE_WINDOW:
            self._arrivals.popleft()


class Watch:
    """All streams, and the ledger since the beginning."""

    def __init__(self, first: Mapping[int, int] | None = None, *, stream: str | None = None) -> None:
        """Begin.

        Args:
            first: by partition, the first frame whose result is to come; without, the first that comes.
            stream: show only this one; the ledger is still of all.
        """
        self.streams: dict[str, StreamWatch] = {}
        self.stream = stream
        self.seen: set[str] = set()
        """Streams that had a result, shown or not."""
        self._tally = Tally(most=_REMEMBERED)
        self._all = StreamWatch("")
        self._next = dict(first or {})
        self._records = 0

    def add(self, fused: Fused, now: datetime) -> bool:
        """Take a result; whether it is of a stream that is shown."""
        self._tally.add(fused)
        self._all.add(fused, now)
        self._records += 1
        self.seen.add(fused.stream_id)
        at = fused.frame
        self._next[at.partition] = max(self._next.get(at.partition, 0), at.offset + 1)
        if not self.shows(fused.stream_id):
            return False
        watch = self.streams.setdefault(fused.stream_id, StreamWatch(fused.stream_id))
        watch.add(fused, now)
        return True

    def per_second(self, now: datetime) -> float:
        """Outcomes a second of all streams, over the last few seconds."""
        return self._all.per_second(now)

    def shows(self, stream_id: str) -> bool:
        """Whether this stream is one of those that are shown."""
        return self.stream in (None, stream_id)

    def ledger(self, bounds: Mapping[int, tuple[int, int]]) -> Ledger:
        """The ledger since the beginning.

        Args:
            bounds: first and next offset of each partition of `frames`.
        """
        in_flight = sum(max(0, end - self._next.get(part, first)) for part, (first, end) in bounds.items())
        return self._tally.ledger(self._records + in_flight, in_flight)

    def behind(self, lag: StageLag, in_flight: int) -> int | None:
        """Frames that a stage is behind; None before it ever committed.

        Args:
            lag: of the stage.
            in_flight: frames that have no outcome yet.
        """
        if lag.behind is None:
            return None
        if lag.before_outcome:
            # Offsets of topics written in transactions count their markers too.
            return min(lag.behind, in_flight)
        if lag.first_frames is None:
            return lag.behind
        return sum(max(0, self._next.get(part, 0) - frame) for part, frame in lag.first_frames.items())


def latency_ms(fused: Fused) -> float:
    """From the frame's append to its outcome."""
    return (fused.fused_at - fused.frame.appended_at).total_seconds() * 1000


def objects_in_words(fused: Fused, *, width: int | None = None) -> str:
    """What was seen where, such as `car 7.3 m, person 3.1 m, 2 more`; nearest first where that is known.

    Args:
        fused: a result.
        width: letters at most, as long as that leaves room for one object.
    """
    unit = fused.map.unit if fused.map else ""
    far = float("inf")
    nearest_first = sorted(fused.objects, key=lambda one: one.depth.median if unit and one.depth else far)
    words = [
        f"{one.label} {one.depth.median:.1f} {unit}" if unit and one.depth else one.label
        for one in nearest_first
    ]
    for shown in range(len(words), 1, -1):
        text = ", ".join(words[:shown] + ([f"{len(words) - shown} more"] if shown < len(words) else []))
        if width is None or len(text) <= width:
            return text
    return words[0] + (f", {len(words) - 1} more" if len(words) > 1 else "") if words else ""
