"""One connection to the topic of frames, shared by all publishers of a process.

Owns the producer, serves its delivery reports, watches the lag of the workers, and makes publishers wait when
they run ahead. What to do is decided in `hold_back.py`, `answers.py`, `decisions.py`; this is the thin edge.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence

from framefuse.errors import BadInput, Retry, Stop
from framefuse.kafka import (
    Admin,
    BufferFull,
    Delivery,
    GroupOffsets,
    Producer,
    group_of,
    resolve_bootstrap,
)
from framefuse.metrics import UNACKNOWLEDGED
from framefuse.publishing.answers import Answers
from framefuse.publishing.decisions import emptiest, partition_of
from framefuse.publishing.hold_back import DEFAULT_LIMIT, Hold, HoldBack
from framefuse.settings import KafkaSettings, flags_of
from schemas.codec import encode
from schemas.records import Frame, StreamState
from schemas.topics import FRAMES, STREAM_STATES

log = logging.getLogger(__name__)
WATCHED = ("detection", "depth")
_GROUPS_EVERY_S = 0.08
_ENDS_EVERY_S = 0.5
_FIRST_LOOK_S = 10.0
_POLL_S = 0.1
_WAIT_S = 0.1
_AWAY_S = 0.5


class PublisherClosed(Stop):
    """A publisher was closed, in this or another thread, while someone wanted to publish."""


class Outlet:
    """The way into `frames`. Safe to use from several threads; close it after its publishers."""

    def __init__(
        self, settings: KafkaSettings, *, live: bool = False, in_flight: int = DEFAULT_LIMIT
    ) -> None:
        """Connect.

        Args:
            settings: where the broker is.
            live: send at once, never wait for the workers.
            in_flight: frames that may wait on a partition at most, before a file publisher holds back;
                0 lifts the limit.

        Raises:
            BrokerUnavailable: no broker answers.
            Stop: there are no topics.
        """
        self.settings, self.live, self._flags = settings, live, flags_of(settings)
        self._topic, self._states = FRAMES.name(settings.prefix), STREAM_STATES.name(settings.prefix)
        self.partitions = Admin(settings).partition_count(self._topic)
        self._groups = {stage: GroupOffsets(settings, group_of(settings, stage)) for stage in WATCHED}
        self._hold_back = HoldBack(limit=0 if live else in_flight)
        self._changed = threading.Condition()
        self._interrupted = False
        self._closed = threading.Event()
        self._without_room: set[Callable[[], object]] = set()
        self._stumbled = False
        self._ends: dict[int, int] = {}
        self._ends_at_s = -_ENDS_EVERY_S
        self._lag_unknown: str | None = None
        """Why nobody knows how far the workers are; None while the broker says it."""
        self._streams_on = [0] * self.partitions
        self._answers, self._where = Answers(), resolve_bootstrap(settings)
        self._producer = Producer(
            settings, live=live, client_id="framefuse-publisher", on_unreachable=self._unreachable
        )
        self._first_look()
        self._threads = [threading.Thread(target=self._serve, name="framefuse-deliveries", daemon=True)]
        if not live and in_flight:
            self._threads.append(threading.Thread(target=self._watch, name="framefuse-lag", daemon=True))
        for thread in self._threads:
            thread.start()

    @property
    def trouble(self) -> str | None:
        """What is wrong with the broker, and what to do; None while it answers."""
        with self._changed:
            trouble = self._answers.trouble(time.monotonic())
        return trouble and f"{trouble} at {self._where}: is it up? 'framefuse broker status'"

    def place(self, stream_id: str, wanted: int | str | None) -> int:
        """The partition of a new stream.

        Args:
            stream_id: decides, as in every Kafka client, when nothing is wanted.
            wanted: a number, `auto` for the emptiest, or None.

        Raises:
            BadInput: there is no such partition.
        """
        with self._changed:
            if wanted is None:
                chosen = partition_of(stream_id.encode(), self.partitions)
            elif wanted == "auto":
                lag = {number: self._hold_back.lag(number) for number in range(self.partitions)}
                chosen = emptiest(self._streams_on, lag, self._ends)
            elif isinstance(wanted, int) and 0 <= wanted < self.partitions:
                chosen = wanted
            else:
                raise BadInput(
                    f"partition {wanted}: {self._topic} has the partitions 0 to {self.partitions - 1}, "
                    "or say 'auto'"
                )
            self._streams_on[chosen] += 1
            return chosen

    def reserve(
        self,
        candidates: Sequence[int],
        waiting: Callable[[str | None], None],
        interrupted: threading.Event | None = None,
    ) -> int:
        """Wait until one of the partitions may take a frame, and take its place there.

        Args:
            candidates: partitions in order of preference.
            waiting: told what is waited for, once that helps the user, and None when the wait is over.
            interrupted: ends the wait when it is set.

        Raises:
            PublisherClosed: the outlet, or this wait, was interrupted.
        """
        with self._changed:
            while True:
                self._check_open()
                if interrupted is not None and interrupted.is_set():
                    raise PublisherClosed("the publisher is closed")
                holds = []
                for partition in candidates:
                    hold = self._hold_back.hold(partition, time.monotonic())
                    if hold is None:
                        self._hold_back.handed(partition)
                        waiting(None)
                        return partition
                    holds.append(hold)
                waiting(self._advice(holds))
                self._changed.wait(_WAIT_S)

    def send(self, frame: Frame, partition: int, on_delivery: Callable[[Delivery], None]) -> None:
        """Hand over a frame whose place was reserved; `on_delivery` is called in another thread.

        Raises:
            BufferFull: only when live, see `when_room`; else it waits.
            PublisherClosed: the outlet was interrupted while it waited.
        """
        value, key = encode(frame), frame.stream_id.encode()

        def delivered(delivery: Delivery) -> None:
            with self._changed:
                self._answers.returned(time.monotonic(), from_broker=delivery.error is None)
                self._hold_back.acknowledged(partition, delivery.offset if delivery.error is None else None)
                self._changed.notify_all()
            on_delivery(delivery)

        while True:
            try:
                self._producer.send(self._topic, value, key=key, partition=partition, on_delivery=delivered)
            except BufferFull as full:
                if self.live:
                    raise
                self._check_open()
                time.sleep(full.retry_after_s)
            else:
                self._handed()
                return

    def when_room(self, again: Callable[[], object]) -> None:
        """Call this once in the thread of the reports, soon after `send` found the buffer full."""
        with self._changed:
            self._without_room.add(again)

    def give_back(self, partition: int) -> None:
        """Give up a reserved place without sending."""
        with self._changed:
            self._hold_back.acknowledged(partition, None)
            self._changed.notify_all()

    def tell(self, state: StreamState) -> None:
        """Publish how a stream is."""

        def delivered(delivery: Delivery) -> None:
            with self._changed:
                self._answers.returned(time.monotonic(), from_broker=delivery.error is None)
            if delivery.error is not None:
                log.warning("state of stream %s was not published: %s", state.stream_id, delivery.error)

        try:
            self._producer.send(
                self._states, encode(state), key=state.stream_id.encode(), on_delivery=delivered
            )
            self._handed()
        except BufferFull:
            log.warning("state of stream %s was not published: the queue is full", state.stream_id)

    def interrupt(self) -> None:
        """Let nobody wait any longer: every `reserve` raises. What was handed over is still delivered."""
        with self._changed:
            self._interrupted = True
            self._changed.notify_all()

    def settle(self, timeout_s: float) -> None:
        """Wait, this long at most, until the broker has all that was handed over and told."""
        self._producer.flush(timeout_s)

    def abandon(self) -> None:
        """Let nobody wait, and forget what is not yet on its way to the broker."""
        self.interrupt()
        self._producer.abandon()

    def close(self, timeout_s: float = 10.0) -> None:
        """Deliver what was handed over, for this long at most, and disconnect."""
        self.interrupt()
        self._closed.set()
        for thread in self._threads:
            thread.join(timeout_s)
        for group in self._groups.values():
            group.close()
        # Who has waited for the frames already waits no longer for a broker that is away.
        self._producer.close(timeout_s if self.trouble is None else _AWAY_S)

    def _serve(self) -> None:
        while not self._closed.is_set():
            try:
                self._producer.poll(_POLL_S)
                self._send_again()
            except Exception as error:  # of whoever was told; the others must be told all the same
                if not self._stumbled:
                    log.exception(
                        "a report of the broker was not taken; further ones are not logged", exc_info=error
                    )
                self._stumbled = True
            UNACKNOWLEDGED.set(len(self._producer))

    def _send_again(self) -> None:
        with self._changed:
            waiting = list(self._without_room)
        for again in waiting:
            self._without_room.discard(again)  # before: it may find no room again
            again()

    def _watch(self) -> None:
        while not self._closed.wait(_GROUPS_EVERY_S):
            try:
                self._look()
                self._lag_unknown = None
            except Retry as error:
                self._lag_unknown = f"the broker does not say how far the workers are ({error})"

    def _first_look(self) -> None:
        """The broker may have to elect leaders and load a group first."""
        give_up_s = time.monotonic() + _FIRST_LOOK_S
        while True:
            try:
                return self._look()
            except Retry:
                if time.monotonic() > give_up_s:
                    raise
                time.sleep(_WAIT_S)

    def _look(self) -> None:
        every = range(self.partitions)
        if time.monotonic() - self._ends_at_s >= _ENDS_EVERY_S:
            self._ends = self._groups[WATCHED[0]].ends(self._topic, every)
            self._ends_at_s = time.monotonic()
        offsets = {stage: group.committed(self._topic, every) for stage, group in self._groups.items()}
        now_s = time.monotonic()
        with self._changed:
            self._answers.heard(now_s)
            for partition, end in self._ends.items():
                committed = {
                    stage: found[partition] for stage, found in offsets.items() if partition in found
                }
                self._hold_back.observe(partition, at_s=now_s, end=end, committed=committed)
            self._changed.notify_all()

    def _handed(self) -> None:
        with self._changed:
            self._answers.handed(time.monotonic())

    def _unreachable(self) -> None:
        with self._changed:
            self._answers.unreachable()

    def _advice(self, holds: Sequence[Hold]) -> str | None:
        if self._lag_unknown is not None:
            return self._lag_unknown
        return holds[0].advice(WATCHED, self._flags) if holds else None

    def _check_open(self) -> None:
        if self._interrupted:
            raise PublisherClosed("the publisher is closed")
