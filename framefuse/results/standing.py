"""How a pipeline stands: where `frames` ends, and how far each stage is behind its input.

Thin: asks the broker, decides nothing. Joins no group and changes nothing.
"""

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Self

from framefuse import plugins
from framefuse.errors import BrokerUnavailable, FramefuseError, Retry, Stop
from framefuse.kafka import Admin, GroupOffsets, GroupState, group_of, resolve_bootstrap
from framefuse.kafka.schema_topic import SchemaTopic
from framefuse.results.first_frames import FirstFrames
from framefuse.results.outcome_tail import OutcomeTail
from framefuse.results.recent_errors import RecentError, RecentErrors
from framefuse.results.stream_states import StreamStates
from framefuse.results.stream_statistics import StreamStatistics, stale
from framefuse.results.watching import PATIENCE_S, Rate, StageLag, Stillness
from framefuse.settings import KafkaSettings, load
from framefuse.types import Partition
from schemas.records import StreamState
from schemas.statistics import Statistics
from schemas.topics import ALL, FRAMES, FUSED

log = logging.getLogger("framefuse.standing")
_EVERY_S = 1.0
_SILENT_AFTER_S = 2.5
_TAIL_OFFSETS = 16
"""The last one is that of a transaction marker, so look at some."""
_TAIL_PATIENCE_S = 2.0


@dataclass(frozen=True, slots=True)
class Standing:
    """One look at a pipeline."""

    frames: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    """First and next offset of each partition of `frames`."""
    stages: Sequence[StageLag] = ()
    states: Mapping[str, StreamState] = field(default_factory=dict)
    """What the publisher of each stream said last."""
    statistics: Mapping[str, Statistics] = field(default_factory=dict)
    """Of each stream, from the stage `statistics`; without those it has not told of for long."""
    errors: Sequence[RecentError] = ()
    """The last dead letters, newest first."""
    trouble: str = ""
    """Why the rest may be old; empty when it is not."""


class StandingWatch:
    """Looks every second, in a thread of its own; a context manager."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings, self._bootstrap = settings, resolve_bootstrap(settings)
        self._seen, self._seen_s = Standing(), time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="framefuse-standing", daemon=True)

    @property
    def latest(self) -> Standing:
        """What was seen last; with its age as the trouble, when the broker has not answered since."""
        seen, silent_s = self._seen, time.monotonic() - self._seen_s
        if silent_s <= _SILENT_AFTER_S:
            return seen
        why = seen.trouble or _away(self._bootstrap)
        return replace(seen, trouble=f"{why} (nothing new for {silent_s:.0f} s)")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join(timeout=5.0)

    def _run(self) -> None:
        look: Look | None = None
        while not self._stop.is_set():
            try:
                look = look or Look(self._settings)
                self._seen = look.take()
                self._seen_s = time.monotonic()
            except Exception as error:  # a thread that died would show the last look for ever
                self._seen = replace(self._seen, trouble=_trouble(error, self._bootstrap))
                log.debug("a look failed", exc_info=error)
                if look is not None:
                    look.close()
                    look = None  # a client that lost its broker may stay lost
            self._stop.wait(_EVERY_S)
        if look is not None:
            look.close()


class Look:
    """The installed stages, and the connections to ask about them."""

    def __init__(self, settings: KafkaSettings) -> None:
        """Connect.

        Raises:
            BrokerUnavailable: no broker is set or running.
            Retry, Stop: it does not answer, or topics are missing.
        """
        self._settings = settings
        self._admin = Admin(settings)
        self._admin.partition_count(FRAMES.name(settings.prefix))
        self._sources = {name: _sources(name, settings.prefix) for name in plugins.names(plugins.STAGES)}
        fused = FUSED.name(settings.prefix)
        self._before_outcome = {topic.name(settings.prefix) for topic in ALL if topic.per_frame} - {fused}
        self._rates: dict[str, Rate] = {}
        self._still: dict[str, Stillness] = {}
        self._patience_s = {name: _patience_s(name) for name, topics in self._sources.items() if topics}
        with ExitStack() as opened:
            self._groups = {
                name: opened.enter_context(GroupOffsets(settings, group_of(settings, name)))
                for name, topics in self._sources.items()
                if topics
            }
            schemas = SchemaTopic(settings, announce=False)
            self._states = opened.enter_context(StreamStates(settings, schemas))
            self._errors = opened.enter_context(RecentErrors(settings, schemas))
            self._statistics = _statistics(settings, schemas, opened)
            self._first_frames = FirstFrames(settings, schemas)
            opened.callback(self._first_frames.close)
            self._open = opened.pop_all()

    def take(self) -> Standing:
        """Ask the broker.

        Raises:
            Retry, Stop: it does not answer, or topics are missing.
        """
        frames = FRAMES.name(self._settings.prefix)
        topics = {frames, *(topic for topics in self._sources.values() for topic in topics)}
        starts = {topic: self._admin.start_offsets(topic) for topic in topics}
        groups = self._admin.groups([group_of(self._settings, name) for name in self._groups])
        committed = {
            name: {topic: offsets.committed(topic, starts[topic]) for topic in self._sources[name]}
            for name, offsets in self._groups.items()
        }
        # The ends last: a group that works is never beyond what was the end before.
        ends = {topic: self._admin.end_offsets(topic) for topic in topics}
        stages = [
            self._stage(name, groups[group_of(self._settings, name)], committed[name], starts, ends)
            for name in self._groups
        ]
        bounds = {number: (starts[frames].get(number, 0), end) for number, end in ends[frames].items()}
        now = datetime.now(UTC)
        told = self._statistics.read() if self._statistics else ()
        return Standing(
            bounds,
            sorted(stages, key=_by_flow),
            self._states.read(),
            {one.stream_id: one for one in told if not stale(one, now)},
            self._errors.read(),
        )

    def close(self) -> None:
        """Disconnect."""
        self._open.close()

    def _stage(
        self, name: str, group: GroupState, committed: "Offsets", starts: "Offsets", ends: "Offsets"
    ) -> StageLag:
        behind = [
            sum(max(0, end - at.get(part, starts[topic].get(part, 0))) for part, end in ends[topic].items())
            for topic, at in committed.items()
            if at
        ]
        fused, frames = FUSED.name(self._settings.prefix), FRAMES.name(self._settings.prefix)
        at = {Partition(topic, part): at for topic, ats in committed.items() for part, at in ats.items()}
        # A merge with nothing more to read from one side waits for that side, and is in order.
        unread = len(behind) == len(committed) and min(behind, default=0) > 0
        still = self._still.setdefault(name, Stillness())
        return StageLag(
            name,
            group.members,
            max(behind, default=None),
            before_outcome=committed.keys() <= self._before_outcome,
            first_frames=self._first(fused, committed[fused], ends[fused]) if fused in committed else None,
            per_second=self._rate(name, committed[frames]) if list(committed) == [frames] else None,
            settled=group.settled,
            beyond_the_end=any(
                at > ends[topic].get(part, at) for topic, ats in committed.items() for part, at in ats.items()
            ),
            strangers=() if group.topics <= committed.keys() else group.clients,
            committed=at,
            still_s=still.add(at, time.monotonic(), unread=unread),
            patience_s=self._patience_s[name],
        )

    def _first(self, fused: str, committed: Mapping[int, int], ends: Mapping[int, int]) -> Mapping[int, int]:
        """Where a stage that reads outcomes stands, in frames."""
        at = {Partition(fused, part): at for part, at in committed.items()}
        return self._first_frames.after(at, {Partition(fused, part): end for part, end in ends.items()})

    def _rate(self, name: str, committed: Mapping[int, int]) -> float | None:
        """Frames a second of a stage whose input has a record at every offset."""
        return self._rates.setdefault(name, Rate()).add(committed, time.monotonic())


Offsets = Mapping[str, Mapping[int, int]]
"""By topic and partition."""


def frames_to_come(settings: KafkaSettings) -> dict[int, int]:
    """By partition, the frame after the last one with an outcome; partitions without any are left out.

    Raises:
        Retry: the broker did not answer.
        Stop: a topic is missing, or we may not read it.
    """
    found: dict[int, int] = {}
    with OutcomeTail(settings, before=_TAIL_OFFSETS, client_id="framefuse-tail") as tail:
        give_up_s = time.monotonic() + _TAIL_PATIENCE_S
        while tail.behind and time.monotonic() < give_up_s:
            found |= {head.frame.partition: head.frame.offset + 1 for head in tail.read(0.1)}
    return found


def _sources(name: str, prefix: str) -> list[str]:
    """Full names of a stage's topics; none if it cannot be loaded here, or has a loop of its own."""
    try:
        return [topic.name(prefix) for topic in plugins.load_stage(name).sources]
    except (ImportError, FramefuseError) as error:
        log.info("stage %s is left out: %s", name, error)
        return []


def _patience_s(name: str) -> float:
    """How long a stage may stand still: it may collect for as long as its batches wait to be full."""
    stage = plugins.load_stage(name)
    try:
        return max(PATIENCE_S, stage.batch(load(stage.settings)).max_wait_s + 5.0)
    except FramefuseError:  # settings that do not fit here; those of its worker may
        return PATIENCE_S


def _trouble(error: Exception, bootstrap: str) -> str:
    match error:
        case BrokerUnavailable() | Retry():
            return _away(bootstrap)
        case FramefuseError():
            return str(error)
        case _:
            return f"cannot look: {type(error).__name__}: {error}"


def _away(bootstrap: str) -> str:
    return f"no broker answers at {bootstrap}: is it up? 'framefuse broker status'"


def _statistics(settings: KafkaSettings, schemas: SchemaTopic, opened: ExitStack) -> StreamStatistics | None:
    """None where the topics are of a version that had no such topic: each stream is counted here then."""
    try:
        return opened.enter_context(StreamStatistics(settings, schemas))
    except Stop:
        return None


def _by_flow(lag: StageLag) -> tuple[int, str]:
    """Ours in the order that a frame takes, others after them by name."""
    ours = ("detection", "depth", "join", "object-store")
    return (ours.index(lag.stage) if lag.stage in ours else len(ours), lag.stage)
