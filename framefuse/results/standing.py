"""How a pipeline stands: where `frames` ends, and how far each stage is behind its input.

Thin: asks the broker, decides nothing. Joins no group and changes nothing.
"""

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

from framefuse import plugins
from framefuse.errors import FramefuseError
from framefuse.kafka import Admin, GroupOffsets, Reader, group_of
from framefuse.results.watching import StageLag
from framefuse.settings import KafkaSettings
from framefuse.types import Partition
from schemas.codec import NotARecord, SchemaBook
from schemas.heads import FusedHead, decode_head
from schemas.topics import FRAMES, FUSED

log = logging.getLogger("framefuse.standing")
_EVERY_S = 1.0
_TAIL_RECORDS = 16
_TAIL_PATIENCE_S = 2.0


@dataclass(frozen=True, slots=True)
class Standing:
    """One look at a pipeline."""

    frames: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    """First and next offset of each partition of `frames`."""
    stages: Sequence[StageLag] = ()
    trouble: str = ""
    """Why the rest may be old; empty when it is not."""


class StandingWatch:
    """Looks every second, in a thread of its own; `latest` is what it saw last. A context manager."""

    def __init__(self, settings: KafkaSettings) -> None:
        self.latest = Standing()
        self._settings = settings
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="framefuse-standing", daemon=True)

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
                self.latest = look.take()
            except FramefuseError as error:
                self.latest = Standing(self.latest.frames, self.latest.stages, str(error))
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
        """
        self._settings = settings
        self._admin = Admin(settings)
        self._sources = {name: _sources(name, settings.prefix) for name in plugins.names(plugins.STAGES)}
        self._groups = {
            name: GroupOffsets(settings, group_of(settings, name))
            for name, topics in self._sources.items()
            if topics
        }

    def take(self) -> Standing:
        """Ask the broker.

        Raises:
            Retry, Stop: it does not answer, or topics are missing.
        """
        frames = FRAMES.name(self._settings.prefix)
        topics = {frames, *(topic for topics in self._sources.values() for topic in topics)}
        ends = {topic: self._admin.end_offsets(topic) for topic in topics}
        starts = {topic: self._admin.start_offsets(topic) for topic in topics}
        stages = [self._stage(name, starts, ends) for name in self._groups]
        bounds = {number: (starts[frames][number], end) for number, end in ends[frames].items()}
        return Standing(bounds, sorted(stages, key=_by_flow))

    def close(self) -> None:
        """Disconnect."""
        for group in self._groups.values():
            group.close()

    def _stage(
        self, name: str, starts: Mapping[str, Mapping[int, int]], ends: Mapping[str, Mapping[int, int]]
    ) -> StageLag:
        behind: list[int] = []
        for topic in self._sources[name]:
            committed = self._groups[name].committed(topic, ends[topic])
            if committed:
                lags = (end - committed.get(part, starts[topic][part]) for part, end in ends[topic].items())
                behind.append(sum(max(0, lag) for lag in lags))
        workers = self._admin.group_members(group_of(self._settings, name))
        before_outcome = FUSED.name(self._settings.prefix) not in self._sources[name]
        return StageLag(name, workers, max(behind, default=None), before_outcome)


def frames_to_come(settings: KafkaSettings) -> dict[int, int]:
    """By partition, the frame after the last one with an outcome; partitions without any are left out.

    Raises:
        Retry: the broker did not answer.
        Stop: there is no such topic.
    """
    topic, book = FUSED.name(settings.prefix), SchemaBook()
    found: dict[int, int] = {}
    with Reader(settings, prefetch=_TAIL_RECORDS, client_id="framefuse-tail") as reader:
        bounds = {part: at for part, at in reader.bounds(topic).items() if at[0] < at[1]}
        # The last offset is that of a transaction marker, so look at some.
        reader.assign({part: max(low, high - _TAIL_RECORDS) for part, (low, high) in bounds.items()})
        waiting: set[Partition] = set(bounds)
        give_up_s = time.monotonic() + _TAIL_PATIENCE_S
        while waiting and time.monotonic() < give_up_s:
            for message in reader.poll(0.1):
                with suppress(NotARecord):
                    head = decode_head(message.value, FusedHead, book)
                    found[message.partition] = head.frame.offset + 1
            positions = reader.positions()
            waiting = {part for part in waiting if positions.get(part, 0) < bounds[part][1]}
    return found


def _sources(name: str, prefix: str) -> list[str]:
    """Full names of a stage's topics; none if it cannot be loaded here, or has a loop of its own."""
    try:
        return [topic.name(prefix) for topic in plugins.load_stage(name).sources]
    except (ImportError, FramefuseError) as error:
        log.info("stage %s is left out: %s", name, error)
        return []


def _by_flow(lag: StageLag) -> tuple[int, str]:
    """Ours in the order that a frame takes, others after them by name."""
    ours = ("detection", "depth", "join", "object-store")
    return (ours.index(lag.stage) if lag.stage in ours else len(ours), lag.stage)
