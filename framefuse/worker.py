"""A worker of a stage: reads, computes, and makes results and positions durable together.

Three steps overlap, each in order: fetching and preparing the next records (the thread that runs the worker),
processing a batch, writing what is done. A transaction therefore opens only when its records are ready, and
everything that piled up meanwhile goes into one. What is in flight when partitions are revoked, or when a
write fails, is dropped and read again: nothing is visible or committed before it is written.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from framefuse import metrics
from framefuse.batching import Batcher
from framefuse.compute import Computation, Started
from framefuse.errors import Retry, SinkBusy
from framefuse.intake import Intake
from framefuse.kafka import Assignment, GroupConsumer, Overtaken
from framefuse.types import BatchPolicy, Output, Partition, Sink

log = logging.getLogger("framefuse.worker")
POLL_S = 0.2
WATCH_INTERVAL_S = 1.0
DRAIN_S = 30.0
_UNWRITTEN_LIMIT_RECORDS = 512
_LEAST_LIMIT_BYTES = 64 << 20
ConsumerFactory = Callable[..., GroupConsumer]


@dataclass(frozen=True, slots=True)
class Parts:
    """What a worker is made of; the factories are called anew for each life in the group."""

    stage: str
    name: str
    """Of this worker: group and instance, its transactional id."""
    source: str
    """Full name of the topic it reads."""
    intake: Intake[Any]
    computation: Computation
    policy: BatchPolicy
    consumer: ConsumerFactory
    sink: Callable[[], Sink[Any]]


@dataclass(slots=True)
class _Batch:
    """Records on their way through one life in the group."""

    started: Sequence[Started]
    epoch: int
    outputs: list[Output[Any]] = field(default_factory=list)


@dataclass(slots=True)
class _Commit:
    """A commit that the writing thread asks for and the fetching thread makes."""

    offsets: Mapping[Partition, int]
    done: bool = False
    error: Retry | None = None


@dataclass(frozen=True, slots=True)
class _Positions:
    """Input positions of a write, and how a sink that is no topic commits them."""

    offsets: Mapping[Partition, int]
    group: object
    ask: Callable[[_Commit], None]

    def commit(self, moved: Mapping[Partition, int] | None = None) -> None:
        self.ask(_Commit(self.offsets if moved is None else moved))


class Membership:
    """One life in the group: a consumer, a sink, two threads, and what is in flight between them."""

    def __init__(self, parts: Parts, stop: threading.Event) -> None:
        self._parts, self._stop = parts, stop
        self._limit = max(2 * parts.policy.max_records, parts.policy.max_records + 4)
        self._limit_bytes = max(2 * (parts.policy.max_bytes or 0), _LEAST_LIMIT_BYTES)
        self._changed = threading.Condition()
        self._batcher: Batcher[Started] = Batcher(parts.policy)
        self._done: deque[_Batch] = deque()
        self._processing = self._writing = 0
        self._epoch = 0
        self._group: object = None
        self._closing = False
        self._failure: BaseException | None = None
        self._seek: dict[Partition, int] = {}
        self._writing_lock = threading.Lock()
        self._asked: _Commit | None = None
        self._committed: dict[Partition, int] = {}
        self._watched_s = 0.0
        self._polled_s = time.monotonic()

    def run(self) -> None:
        """Join, work until stopped or failed, drain, leave.

        Raises:
            Retry: read again in a new life.
            Stop: never mind.
        """
        parts = self._parts
        sink = parts.sink()
        try:
            self._consumer = parts.consumer(
                on_assigned=self._assigned, on_revoked=self._revoked, on_overtaken=self._overtaken
            )
            threads = [
                threading.Thread(
                    target=self._guard, args=(self._process_loop,), name=f"{parts.name} process"
                ),
                threading.Thread(
                    target=self._guard, args=(self._write_loop, sink), name=f"{parts.name} write"
                ),
            ]
            for thread in threads:
                thread.start()
            try:
                self._fetch_loop()
                self._drain()
            finally:
                self._end(threads)
        finally:
            sink.close()
            metrics.UP.labels(parts.stage, parts.name).set(0)
        if self._failure is not None:
            raise self._failure

    # ── fetching: the thread that runs the worker, which also serves rebalances ──

    def _fetch_loop(self) -> None:
        while not self._stop.is_set() and self._failure is None:
            self._move()
            room = self._room()
            if room > 0:
                self._consumer.resume(self._committed)
                self._take(POLL_S, room)
            else:
                self._wait_for_room()
            self._serve_commit()
            self._watch()

    def _take(self, timeout_s: float, room: int) -> None:
        messages = self._consumer.poll(timeout_s, room)
        self._polled_s = time.monotonic()
        if not messages:
            return
        group = self._consumer.group_metadata()
        started = [
            (
                message,
                self._parts.computation.start(self._parts.intake.take(message, received_s=self._polled_s)),
            )
            for message in messages
        ]
        with self._changed:
            if self._seek:
                return  # read from where the sink has moved us away; `_move` comes next
            self._group = group
            for message, item in started:
                size_bytes = len(message.value or b"")
                self._batcher.add(
                    item, partition=message.partition, size_bytes=size_bytes, now_s=self._polled_s
                )
            self._changed.notify_all()

    def _wait_for_room(self) -> None:
        """Wait for the processor, but never so long that the group thinks we are dead."""
        with self._changed:
            self._changed.wait_for(self._has_news, 1.0)
            still_full = self._full()
        if still_full and time.monotonic() - self._polled_s > 1.0:
            self._consumer.pause(self._committed)
            self._take(0.0, self._limit)

    def _has_news(self) -> bool:
        return not self._full() or self._failure is not None or self._asked is not None

    def _full(self) -> bool:
        """Whether nothing more may be read ahead; call with the lock held."""
        return len(self._batcher) >= self._limit or self._batcher.size_bytes >= self._limit_bytes

    def _serve_commit(self) -> None:
        """Make the commit that the writing thread waits for; the client hangs if another thread polls."""
        asked = self._asked
        if asked is None:
            return
        try:
            self._consumer.commit(asked.offsets)
        except Retry as error:
            asked.error = error
        with self._changed:
            asked.done, self._asked = True, None
            self._changed.notify_all()

    def _move(self) -> None:
        """Go on reading where a sink said that its batch had ended before."""
        with self._changed:
            moved, self._seek = self._seek, {}
        if moved:
            self._consumer.seek(moved)

    def _watch(self) -> None:
        """Once a second: metrics, and the commit of passed positions."""
        now_s = time.monotonic()
        if now_s - self._watched_s < WATCH_INTERVAL_S:
            return
        self._watched_s = now_s
        labels = (self._parts.stage, self._parts.name)
        metrics.ASSIGNED.labels(*labels).set(len(self._committed))
        metrics.IN_FLIGHT_LIMIT.labels(*labels).set(self._limit)
        in_flight = self._in_flight()
        metrics.IN_FLIGHT.labels(*labels).set(in_flight)
        metrics.LAG.labels(*labels).set(self._consumer.lag(self._committed))
        if in_flight == 0 and not self._seek:
            self._commit_passed()

    def _commit_passed(self) -> None:
        """Commit positions beyond transaction markers, which no record brings, so that the lag reaches 0."""
        positions = self._consumer.positions()
        passed = {part: at for part, at in positions.items() if at > self._committed.get(part, at)}
        try:
            self._consumer.commit(passed)
        except Retry as error:  # the next second will do
            log.info("%s: %s", self._parts.name, error)
        else:
            self._committed.update(passed)

    def _drain(self) -> None:
        """Finish what is in flight before leaving, still a good member of the group."""
        give_up_s = time.monotonic() + DRAIN_S
        self._consumer.pause(self._committed)
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        while self._in_flight() and self._failure is None and time.monotonic() < give_up_s:
            self._consumer.poll(0.05, 1)
            self._serve_commit()

    def _end(self, threads: list[threading.Thread]) -> None:
        with self._changed:
            self._epoch += 1
            self._closing = True
            self._batcher.clear()
            self._changed.notify_all()
        for thread in threads:
            while thread.is_alive():
                thread.join(0.02)
                self._serve_commit()
        self._consumer.close()

    # ── rebalances, called from within `poll` ──

    def _assigned(self, starts: Mapping[Partition, Assignment]) -> None:
        self._drop()
        self._committed = {part: start.offset for part, start in starts.items()}
        metrics.UP.labels(self._parts.stage, self._parts.name).set(1)

    def _revoked(self, parts: frozenset[Partition]) -> None:
        del parts  # the range assignor takes all and gives some back
        self._drop()
        self._committed = {}

    def _overtaken(self, overtaken: Overtaken) -> None:
        metrics.LOST.labels(self._parts.stage).inc(overtaken.next - overtaken.first)

    def _drop(self) -> None:
        """Forget what is in flight, after the write under way; one that waits for its sink gives up."""
        self._forget()
        while not self._writing_lock.acquire(timeout=0.02):
            self._serve_commit()
        self._forget()
        self._writing_lock.release()

    def _forget(self) -> None:
        with self._changed:
            self._epoch += 1
            self._batcher.clear()
            self._done.clear()
            self._seek.clear()
            self._changed.notify_all()

    # ── processing ──

    def _process_loop(self) -> None:
        while (batch := self._next_batch()) is not None:
            try:
                batch.outputs = self._parts.computation.finish(batch.started)
            finally:
                with self._changed:
                    self._processing = 0
                    if batch.outputs and batch.epoch == self._epoch:
                        self._done.append(batch)
                    self._changed.notify_all()

    def _next_batch(self) -> _Batch | None:
        with self._changed:
            while True:
                crowded = sum(len(batch.outputs) for batch in self._done) >= _UNWRITTEN_LIMIT_RECORDS
                now_s = time.monotonic()
                pressed = self._closing or self._full()
                started = () if crowded else self._batcher.cut(now_s, pressed=pressed)
                if started:
                    self._processing = len(started)
                    self._changed.notify_all()
                    return _Batch(started, self._epoch)
                if self._closing and not self._batcher:
                    return None
                self._changed.wait(None if crowded else self._batcher.due_in_s(now_s))

    # ── writing ──

    def _write_loop(self, sink: Sink[Any]) -> None:
        while (batches := self._next_write()) is not None:
            with self._writing_lock:
                if batches[0].epoch == self._epoch:
                    self._write(sink, batches)
            with self._changed:
                self._writing = 0
                self._changed.notify_all()

    def _next_write(self) -> list[_Batch] | None:
        """Everything that is done, for one write; one batch at a time for sinks that name what they write."""
        with self._changed:
            while not self._done:
                if self._closing and not self._processing and not self._batcher:
                    return None
                self._changed.wait()
            count = 1 if self._parts.policy.per_partition else len(self._done)
            batches = [self._done.popleft() for _ in range(count)]
            self._writing = sum(len(batch.outputs) for batch in batches)
            self._changed.notify_all()
            return batches

    def _write(self, sink: Sink[Any], batches: list[_Batch]) -> None:
        outputs = [output for batch in batches for output in batch.outputs]
        offsets: dict[Partition, int] = {}
        for output in outputs:
            offsets[Partition(self._parts.source, output.partition)] = output.offset + 1
        positions = _Positions(offsets, self._group, self._commit)
        begun_s = time.monotonic()
        moved = self._insist(sink, outputs, positions, batches[0].epoch)
        metrics.SECONDS.labels(self._parts.stage, "write").observe(time.monotonic() - begun_s)
        with self._changed:
            self._committed.update(offsets if moved is None else moved)
            if moved:
                # What is in flight of every partition is dropped, so all of them are read again.
                self._seek = dict(self._committed)
                self._epoch += 1
                self._batcher.clear()
                self._done.clear()

    def _insist(
        self, sink: Sink[Any], outputs: list[Output[Any]], positions: _Positions, epoch: int
    ) -> Mapping[Partition, int] | None:
        """Write, waiting for a busy sink as long as it takes, unless this life ends meanwhile."""
        while True:
            try:
                return sink.write(outputs, positions)
            except SinkBusy as busy:
                metrics.REJOINS.labels(self._parts.stage, "sink_busy").inc()
                log.warning("%s: %s; again in %.1f s", self._parts.name, busy, busy.retry_after_s)
                with self._changed:
                    if self._changed.wait_for(lambda: self._ended(epoch), busy.retry_after_s):
                        raise

    def _commit(self, commit: _Commit) -> None:
        """Ask the fetching thread for a commit and wait for it."""
        with self._changed:
            self._asked = commit
            self._changed.notify_all()
            self._changed.wait_for(lambda: commit.done)
        if commit.error is not None:
            raise commit.error

    def _ended(self, epoch: int) -> bool:
        return self._epoch != epoch or self._closing

    # ── shared ──

    def _guard(self, loop: Callable[..., None], *args: object) -> None:
        """Run a loop in its thread; its failure ends this life."""
        try:
            loop(*args)
        except BaseException as error:  # handed to the thread that runs the worker
            with self._changed:
                self._failure = self._failure or error
                self._epoch += 1
                self._closing = True
                self._batcher.clear()
                self._done.clear()
                self._changed.notify_all()

    def _room(self) -> int:
        """Records that may be read ahead now."""
        with self._changed:
            return 0 if self._full() else self._limit - len(self._batcher)

    def _in_flight(self) -> int:
        with self._changed:
            return (
                len(self._batcher)
                + self._processing
                + self._writing
                + sum(len(done.started) for done in self._done)
            )
