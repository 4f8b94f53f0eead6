"""Cuts a stream of items into batches: full, old enough, or when the limit presses.

Pure: time comes in as an argument. Order within a partition is kept; whoever waited longest is cut first.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from framefuse.types import BatchPolicy

T = TypeVar("T")
_ALL = -1
"""The one queue of a policy that mixes partitions."""


@dataclass(frozen=True, slots=True)
class _Waiting(Generic[T]):
    item: T
    size_bytes: int
    since_s: float


class Batcher(Generic[T]):
    """Collects items by partition (or all together) and says when a batch is ready."""

    def __init__(self, policy: BatchPolicy) -> None:
        self._policy = policy
        self._queues: dict[int, deque[_Waiting[T]]] = {}
        self.size_bytes = 0
        """Of all items that wait."""

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    def add(self, item: T, *, partition: int, size_bytes: int, now_s: float) -> None:
        """Take an item in."""
        number = partition if self._policy.per_partition else _ALL
        self._queues.setdefault(number, deque()).append(_Waiting(item, size_bytes, now_s))
        self.size_bytes += size_bytes

    def cut(self, now_s: float, *, pressed: bool = False) -> Sequence[T]:
        """The next batch, or nothing if none is ready.

        Args:
            now_s: monotonic time.
            pressed: take the oldest even if it is not ready, because nothing more may be added.
        """
        queues = sorted(
            (queue for queue in self._queues.values() if queue), key=lambda queue: queue[0].since_s
        )
        for queue in queues:
            if self._full(queue) or now_s >= queue[0].since_s + self._policy.max_wait_s:
                return self._take(queue)
        return self._take(max(queues, key=len)) if pressed and queues else ()

    def due_in_s(self, now_s: float) -> float | None:
        """Seconds until the oldest item must be cut; None when nothing waits."""
        oldest_s = min((queue[0].since_s for queue in self._queues.values() if queue), default=None)
        return None if oldest_s is None else max(0.0, oldest_s + self._policy.max_wait_s - now_s)

    def clear(self) -> None:
        """Forget everything."""
        self._queues.clear()
        self.size_bytes = 0

    def _full(self, queue: deque[_Waiting[T]]) -> bool:
        if len(queue) >= self._policy.max_records:
            return True
        limit = self._policy.max_bytes
        return limit is not None and sum(waiting.size_bytes for waiting in queue) >= limit

    def _take(self, queue: deque[_Waiting[T]]) -> Sequence[T]:
        limit, size_bytes = self._policy.max_bytes, 0
        items: list[T] = []
        while queue and len(items) < self._policy.max_records:
            size = queue[0].size_bytes
            size_bytes += size
            if items and limit is not None and size_bytes > limit:
                break
            items.append(queue.popleft().item)
            self.size_bytes -= size
        return items
