"""The cameras of one publisher: opens what is ours, closes what is not, and lets go when it cannot know.

`tick` brings what is open in line with the roster; all else is told by `SharedTable`, from within its `poll`,
so everything here runs in one thread. A stream may be sent only while its feed is in `_feeds`; it is opened
again only when its last run has ended, here at least.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from framefuse import metrics
from framefuse.errors import Retry
from framefuse.kafka import Message
from framefuse.kafka.schema_topic import SchemaTopic
from framefuse.kafka.shared_table import HEARTBEAT_S, SESSION_TIMEOUT_S
from framefuse.publishing.sources import SourceOptions
from framefuse.settings import KafkaSettings
from framefuse.streams.reading import published_since
from framefuse.streams.registry import stream_in
from producers.fleet.feed import STANDINGS, Feed
from producers.fleet.lease import Lease, clock_s
from producers.fleet.leased_outlet import LeasedOutlet
from producers.fleet.roster import Entry, Roster
from schemas.records import Stream

log = logging.getLogger("framefuse.camera")
LEASE_S = SESSION_TIMEOUT_S - HEARTBEAT_S
"""The broker may have heard of us one heartbeat before we were stopped; so the lease always ends first."""
_CLOSING_S, _SETTLING_S, _TURN_S = 8.0, 2.0, 1.0
_STEP_S = 0.02


class Stalled(Retry):
    """This process was stopped for so long that its cameras may be somebody else's."""


class Fleet:
    """What one membership publishes; a new membership has a new one."""

    def __init__(
        self,
        kafka: KafkaSettings,
        schemas: SchemaTopic,
        *,
        options: Callable[[Stream], SourceOptions],
        secrets_dir: Path,
    ) -> None:
        """Connect; nothing is opened yet.

        Args:
            kafka: where the broker is.
            schemas: to read declarations with.
            options: how the pictures of a stream are read.
            secrets_dir: where files that credentials refer to may be.

        Raises:
            BrokerUnavailable: no broker answers.
            Stop: there are no topics.
        """
        self._kafka, self._schemas = kafka, schemas
        self._source_options, self._secrets_dir = options, secrets_dir
        self._roster = Roster()
        self._feeds: dict[str, Feed] = {}
        self._leaving: dict[str, Feed] = {}
        self._evicted: frozenset[str] = frozenset()
        self._outlets: dict[bool, LeasedOutlet] = {}
        self.joined = self.stopping = False
        self._outlet(live=True)
        self._lease = Lease(LEASE_S, clock_s())

    # ── told by the shared table ──

    def assigned(self, partitions: frozenset[int]) -> None:
        """More partitions are ours."""
        self.joined = True
        self._roster.assigned(partitions)

    def record(self, message: Message) -> None:
        """A declaration, or the end of one."""
        stream_id = (message.key or b"").decode(errors="replace")
        stream = stream_in(message, self._schemas.book, self._schemas.refresh)
        entry = Entry(stream, message.timestamp) if stream else None
        self._roster.declare(message.partition, stream_id, entry)

    def complete(self, partition: int) -> None:
        """A partition has been read to its end."""
        self._roster.complete(partition)

    def revoked(self, partitions: frozenset[int]) -> None:
        """These go to others, and wait until we have closed their cameras."""
        self._roster.revoked(partitions)
        why = "the publisher was stopped" if self.stopping else "moved to another publisher"
        self._dismiss(lambda _: why)
        until_s = clock_s() + _CLOSING_S
        while self._leaving and clock_s() < until_s and self.beat():
            time.sleep(_STEP_S)
            self._sweep()
        if self._leaving:
            log.warning("not closed after %.0f s: %s", _CLOSING_S, ", ".join(sorted(self._leaving)))
            self._evicted |= self._leaving.keys()
        for outlet in self._outlets.values():
            outlet.settle(_SETTLING_S)

    def lost(self, partitions: frozenset[int]) -> None:
        """All that we had may be published by others already."""
        del partitions  # a membership is lost as a whole
        self.abandon()

    # ── by the main loop ──

    def beat(self) -> bool:
        """Prove that this process is running; False when it was away for too long."""
        return self._lease.renew(clock_s())

    def abandon(self) -> None:
        """Hand over not one frame more, and forget what is not on its way to the broker yet."""
        self._lease.end()
        for outlet in self._outlets.values():
            outlet.abandon()
        self._roster = Roster()
        self._dismiss(lambda _: "lost")

    def tick(self) -> None:
        """Bring what is open in line with the roster.

        Raises:
            Stalled: this process was away for too long.
        """
        self._check_beat()
        began_s, wanted = clock_s(), self._roster.ours()
        self._sweep()
        self._dismiss(lambda stream_id: "changed" if stream_id in wanted else "removed")
        self._hire(wanted)
        for feed in list(self._feeds.values()):
            self._check_beat()
            feed.tick(clock_s())
            if clock_s() - began_s > _TURN_S:
                break  # the rest next time: the group wants to be polled
        self._count()

    def close(self) -> None:
        """End what is still open, wait for it for a while, and disconnect."""
        self._lease.end()
        self._feeds, self._leaving = {}, self._feeds | self._leaving
        for feed in self._leaving.values():
            feed.close("lost")
        until_s = clock_s() + _CLOSING_S
        while self._leaving and clock_s() < until_s:
            time.sleep(_STEP_S)
            self._sweep()
        for outlet in self._outlets.values():
            outlet.close(2.0)
        self._count()

    def _check_beat(self) -> None:
        if not self.beat():
            raise Stalled(f"away for more than {LEASE_S:g} s: our cameras may be others' by now")

    def _ours(self, stream_id: str) -> bool:
        """Asked by many threads, for every frame."""
        known = stream_id in self._feeds or stream_id in self._leaving
        return known and stream_id not in self._evicted and self._lease.holds(clock_s())

    def _dismiss(self, why: Callable[[str], str]) -> None:
        """Begin to close what is open and not on the roster as it is."""
        wanted = self._roster.ours()
        for stream_id, feed in list(self._feeds.items()):
            entry = wanted.get(stream_id)
            if entry is None or entry.stream != feed.stream:
                feed.close(why(stream_id))
                self._leaving[stream_id] = feed
                del self._feeds[stream_id]

    def _sweep(self) -> None:
        for stream_id, feed in list(self._leaving.items()):
            if feed.done:
                del self._leaving[stream_id]
                self._evicted -= {stream_id}

    def _hire(self, wanted: Mapping[str, Entry]) -> None:
        new = [entry for key, entry in wanted.items() if key not in self._feeds and key not in self._leaving]
        files = {entry.stream.stream_id: entry.at for entry in new if not entry.stream.live}
        over = published_since(self._kafka, self._schemas.book, files) if files else frozenset()
        for entry in new:
            stream = entry.stream
            self._feeds[stream.stream_id] = Feed(
                stream,
                self._kafka,
                partial(self._outlet, live=stream.live),
                options=self._source_options(stream),
                secrets_dir=self._secrets_dir,
                finished=stream.stream_id in over,
            )

    def _outlet(self, *, live: bool) -> LeasedOutlet:
        if live not in self._outlets:
            self._outlets[live] = LeasedOutlet(self._kafka, live=live, ours=self._ours, told=self._told)
        return self._outlets[live]

    def _told(self, stream_id: str, reason: str) -> str:
        feed = self._feeds.get(stream_id) or self._leaving.get(stream_id)
        return feed.fit_to_show(reason) if feed else reason

    def _count(self) -> None:
        counts = Counter(feed.standing for feed in self._feeds.values())
        for standing in STANDINGS:
            metrics.DECLARED.labels(standing).set(counts[standing])
