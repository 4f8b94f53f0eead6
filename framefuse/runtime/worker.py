"""A worker of a stage: reads, computes, and makes results and positions durable together.

Three steps overlap, each in order: fetching and preparing the next records (the thread that runs the worker),
processing a batch, writing what is done. A transaction therefore opens only when its records are ready, and
everything that piled up meanwhile goes into one. What is in flight when partitions are revoked, or when a
write fails, is dropped and read again: nothing is visible or committed before it is written.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from framefuse import metrics
from framefuse.errors import Retry, SinkBusy
from framefuse.kafka import Assignment, GroupConsumer, Overtaken
from framefuse.runtime.commit_desk import CommitDesk
from framefuse.runtime.compute import Computation
from framefuse.runtime.flight import Batch, Flight, Waiting
from framefuse.runtime.intake import Intake
from framefuse.runtime.letters_told import LettersTold
from framefuse.runtime.waits import SinkWaits
from framefuse.types import BatchPolicy, Member, Output, Partition, Sink

log = logging.getLogger("framefuse.worker")
_POLL_S = 0.2
_WATCH_INTERVAL_S = 1.0
_DRAIN_S = 30.0
_LONGEST_SILENCE_S = 1.0


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
    consumer: Callable[..., GroupConsumer]
    sink: Callable[[], Sink[Any]]
    waits: SinkWaits


@dataclass(frozen=True, slots=True)
class _Positions:
    """Input positions of a write, and how a sink that is no topic commits them."""

    offsets: Mapping[Partition, int]
    group: Member | None
    desk: CommitDesk

    def commit(self, moved: Mapping[Partition, int] | None = None) -> None:
        self.desk.ask(self.offsets if moved is None else moved)


class Membership:
    """One life in the group: a consumer, a sink, and the two threads beside the one that runs it."""

    def __init__(self, parts: Parts, stop: threading.Event) -> None:
        self._parts, self._stop = parts, stop
        self._flight = Flight(parts.policy)
        self._group: Member | None = None
        self._committed: dict[Partition, int] = {}
        self._seek: dict[Partition, int] = {}
        self._desk = CommitDesk(self._flight)
        self._writing_lock = threading.Lock()
        """Held while a sink writes; never waited for by the fetching thread without serving commits."""
        self._place_lock = threading.Lock()
        """Held for a moment, for `_seek` and what is added to the flight."""
        self._letters = LettersTold(parts.stage, parts.name)
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
                threading.Thread(target=self._guard, args=(loop,), name=f"{parts.name} {name}")
                for name, loop in {
                    "process": self._process_loop,
                    "write": lambda: self._write_loop(sink),
                }.items()
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
        if self._flight.failure is not None:
            raise self._flight.failure

    def _guard(self, loop: Callable[[], None]) -> None:
        """Run a loop in its thread; its failure ends this life and is raised by the thread that runs it."""
        try:
            loop()
        except BaseException as error:  # handed over, see above
            self._flight.fail(error)

    # ── fetching: the thread that runs the worker, which also serves rebalances and commits ──

    def _fetch_loop(self) -> None:
        while not self._stop.is_set() and self._flight.failure is None:
            self._move()
            room = self._flight.room()
            if room > 0:
                self._consumer.resume(self._committed)
                self._take(_POLL_S, room)
            else:
                self._wait_for_room()
            self._serve_commit()
            self._watch()

    def _take(self, timeout_s: float, room: int) -> None:
        messages = self._consumer.poll(timeout_s, room)
        self._polled_s = time.monotonic()
        if not messages:
            return
        intake, computation = self._parts.intake, self._parts.computation
        waiting = [
            Waiting(
                computation.start(intake.take(message, received_s=self._polled_s)),
                message.partition,
                len(message.value or b""),
            )
            for message in messages
        ]
        group = self._consumer.group_metadata()
        with self._place_lock:
            if self._seek:
                return  # read from where the sink has moved us away; `_move` comes next
            self._group = group
            self._flight.add(waiting)

    def _wait_for_room(self) -> None:
        """Wait for the processor, but never so long that the group thinks we are dead."""
        flight = self._flight
        flight.wait_for(
            lambda: flight.room() > 0 or flight.failure is not None or self._desk.waited_for,
            _LONGEST_SILENCE_S,
        )
        if flight.room() == 0 and time.monotonic() - self._polled_s > _LONGEST_SILENCE_S:
            self._consumer.pause(self._committed)
            self._take(0.0, self._flight.limit)

    def _serve_commit(self) -> None:
        self._desk.serve(self._consumer.commit)

    def _move(self) -> None:
        """Go on reading where a sink said that its batch had ended before."""
        with self._place_lock:
            moved, self._seek = self._seek, {}
        if moved:
            self._consumer.seek(moved)

    def _drain(self) -> None:
        """Finish what is in flight before leaving, still a good member of the group."""
        give_up_s = time.monotonic() + _DRAIN_S
        self._consumer.pause(self._committed)
        self._flight.close()
        while self._flight.count() and self._flight.failure is None and time.monotonic() < give_up_s:
            self._consumer.poll(0.05, 1)
            self._serve_commit()

    def _end(self, threads: list[threading.Thread]) -> None:
        self._flight.close()
        self._flight.forget()
        try:
            for thread in threads:
                while thread.is_alive():
                    thread.join(0.02)
                    self._serve_commit()
        finally:
            self._consumer.close()

    # ── once a second ──

    def _watch(self) -> None:
        """Metrics, and the commit of passed positions."""
        now_s = time.monotonic()
        if now_s - self._watched_s < _WATCH_INTERVAL_S:
            return
        self._watched_s = now_s
        labels = (self._parts.stage, self._parts.name)
        metrics.ASSIGNED.labels(*labels).set(len(self._committed))
        metrics.IN_FLIGHT_LIMIT.labels(*labels).set(self._flight.limit)
        metrics.IN_FLIGHT.labels(*labels).set(self._flight.count())
        metrics.SHED_RUNG.labels(*labels).set(self._parts.computation.rung)
        metrics.LAG.labels(*labels).set(self._consumer.lag(self._committed))
        self._letters.tell(now_s)
        if self._flight.idle() and not self._seek:
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
        self._flight.forget()
        while not self._writing_lock.acquire(timeout=0.02):
            self._serve_commit()
        try:
            self._flight.forget()
            self._seek = {}
        finally:
            self._writing_lock.release()

    # ── processing ──

    def _process_loop(self) -> None:
        while (batch := self._flight.next_batch()) is not None:
            batch.outputs = self._parts.computation.finish(batch.started)
            self._flight.processed(batch)

    # ── writing ──

    def _write_loop(self, sink: Sink[Any]) -> None:
        while (batches := self._flight.next_write()) is not None:
            with self._writing_lock:
                if self._flight.is_current(batches[0]):
                    self._write(sink, batches)
            self._flight.written()

    def _write(self, sink: Sink[Any], batches: list[Batch]) -> None:
        outputs = [output for batch in batches for output in batch.outputs]
        offsets: dict[Partition, int] = {}
        for output in outputs:
            offsets[Partition(self._parts.source, output.partition)] = output.offset + 1
        begun_s = time.monotonic()
        positions = _Positions(offsets, self._group, self._desk)
        try:
            moved = self._insist(sink, outputs, positions, batches[0].epoch)
        except SinkBusy:
            if self._flight.closing:
                raise
            return  # dropped with its epoch: whoever has the partition now reads it again
        metrics.SECONDS.labels(self._parts.stage, "write").observe(time.monotonic() - begun_s)
        for output in outputs:  # now that they are durable, and not before: they may have been read again
            metrics.RECORDS.labels(self._parts.stage, output.status).inc()
            if output.letter is not None:
                metrics.DEAD_LETTERS.labels(self._parts.stage, output.letter.error).inc()
                self._letters.add(output.letter)
        with self._place_lock:
            self._committed.update(offsets if moved is None else moved)
            if moved:
                # What is in flight of every partition is dropped, so all of them are read again.
                self._seek = dict(self._committed)
                self._flight.forget()

    def _insist(
        self, sink: Sink[Any], outputs: list[Output[Any]], positions: _Positions, epoch: int
    ) -> Mapping[Partition, int] | None:
        """Write, waiting for a busy sink as long as it takes, unless this epoch ends meanwhile."""
        waits, written = self._parts.waits, False
        try:
            while True:
                try:
                    moved = sink.write(outputs, positions)
                except SinkBusy as busy:
                    metrics.REJOINS.labels(self._parts.stage, "sink_busy").inc()
                    log.warning("%s: %s; again in %.1f s", self._parts.name, busy, busy.retry_after_s)
                    waits.begin(self._parts.name, str(busy))
                    if self._flight.wait_for(lambda: self._flight.ended(epoch), busy.retry_after_s):
                        raise
                else:
                    written = True
                    return moved
        finally:
            waits.end(self._parts.name, written=written)
