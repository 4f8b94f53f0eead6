"""What one life of a worker has in flight: read and waiting, in work, done, being written.

Shared by the three threads of the worker, bounded by records and bytes. Knows no Kafka and no processor. An
*epoch* is a time between two assignments: what belongs to an epoch that is over is never written.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from framefuse.runtime.batching import Batcher
from framefuse.runtime.compute import Started
from framefuse.types import BatchPolicy, Output

_UNWRITTEN_LIMIT_RECORDS = 512
_LEAST_LIMIT_BYTES = 64 << 20


@dataclass(slots=True)
class Batch:
    """Records on their way from the batcher to the sink."""

    started: Sequence[Started]
    epoch: int
    outputs: list[Output[Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Waiting:
    """One record for the batcher."""

    started: Started
    partition: int
    size_bytes: int


class Flight:
    """The records in flight, and the signals between the threads; every method is safe in any of them."""

    def __init__(self, policy: BatchPolicy) -> None:
        self.limit = max(2 * policy.max_records, policy.max_records + 4)
        """Records that may be read ahead."""
        self._limit_bytes = max(2 * (policy.max_bytes or 0), _LEAST_LIMIT_BYTES)
        self._one_by_one = policy.per_partition
        self._changed = threading.Condition(threading.RLock())
        self._batcher: Batcher[Started] = Batcher(policy)
        self._done: deque[Batch] = deque()
        self._processing = self._writing = 0
        self._epoch = 0
        self._closing = False
        self._failure: BaseException | None = None

    # ── signals ──

    @property
    def failure(self) -> BaseException | None:
        """What ended this life, if anything did."""
        return self._failure

    def fail(self, error: BaseException) -> None:
        """End this life; the first error counts."""
        with self._changed:
            self._failure = self._failure or error
            self.close()
            self.forget()

    @property
    def closing(self) -> bool:
        """Whether this life is about to end."""
        return self._closing

    def close(self) -> None:
        """Take nothing more; what is in flight may be finished."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()

    def forget(self) -> None:
        """Drop everything that is not being written this moment: a new epoch begins."""
        with self._changed:
            self._epoch += 1
            self._batcher.clear()
            self._done.clear()
            self._changed.notify_all()

    def ended(self, epoch: int) -> bool:
        """Whether waiting for anything of this epoch has become senseless."""
        return self._epoch != epoch or self._closing

    def wait_for(self, condition: Callable[[], bool], timeout_s: float | None = None) -> bool:
        """Wait until `condition`, which is asked again after every change."""
        with self._changed:
            return self._changed.wait_for(condition, timeout_s)

    def announce(self) -> None:
        """Have conditions asked again."""
        with self._changed:
            self._changed.notify_all()

    # ── fetching ──

    def room(self) -> int:
        """Records that may be read ahead now."""
        with self._changed:
            return 0 if self._full() else self.limit - len(self._batcher)

    def add(self, items: Iterable[Waiting]) -> None:
        """Let records wait for their batch."""
        now_s = time.monotonic()
        with self._changed:
            for item in items:
                self._batcher.add(
                    item.started, partition=item.partition, size_bytes=item.size_bytes, now_s=now_s
                )
            self._changed.notify_all()

    def count(self) -> int:
        """Records read and not yet written."""
        with self._changed:
            done = sum(len(batch.started) for batch in self._done)
            return len(self._batcher) + self._processing + done + self._writing

    def idle(self) -> bool:
        """Whether everything that was read is written. Never once this life has failed: what was in work then
        is neither in flight nor written.
        """
        with self._changed:
            return self._failure is None and not self.count()

    # ── processing ──

    def next_batch(self) -> Batch | None:
        """The next batch to process, when it is ready; None when no more will come."""
        with self._changed:
            while True:
                crowded = sum(len(batch.outputs) for batch in self._done) >= _UNWRITTEN_LIMIT_RECORDS
                now_s = time.monotonic()
                started = () if crowded else self._batcher.cut(now_s, pressed=self._closing or self._full())
                if started:
                    self._processing = len(started)
                    self._changed.notify_all()
                    return Batch(started, self._epoch)
                if self._closing and not self._batcher:
                    return None
                self._changed.wait(None if crowded else self._batcher.due_in_s(now_s))

    def processed(self, batch: Batch) -> None:
        """Hand a processed batch on to the writer, unless its epoch is over."""
        with self._changed:
            self._processing = 0
            if batch.outputs and batch.epoch == self._epoch:
                self._done.append(batch)
            self._changed.notify_all()

    # ── writing ──

    def next_write(self) -> list[Batch] | None:
        """All that is done, for one write (one batch where a sink names what it writes); None at the end."""
        with self._changed:
            while not self._done:
                if self._failure is not None:
                    return None
                if self._closing and not self._processing and not self._batcher:
                    return None
                self._changed.wait()
            batches = [self._done.popleft() for _ in range(1 if self._one_by_one else len(self._done))]
            self._writing = sum(len(batch.outputs) for batch in batches)
            self._changed.notify_all()
            return batches

    def is_current(self, batch: Batch) -> bool:
        """Whether the batch may still be written."""
        return batch.epoch == self._epoch

    def written(self) -> None:
        """The batches of the last `next_write` are written, or dropped."""
        with self._changed:
            self._writing = 0
            self._changed.notify_all()

    def _full(self) -> bool:
        return len(self._batcher) >= self.limit or self._batcher.size_bytes >= self._limit_bytes
