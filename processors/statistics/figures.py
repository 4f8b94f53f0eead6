"""What Prometheus learns of this worker: whether it is at work, with how many partitions, and how far behind.

Of streams it learns nothing but their sum: there may be any number of them, and each would stay a time series
long after it is gone. What each of them does is in the topic `statistics`.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from framefuse import metrics
from processors.statistics.intake import STAGE_NAME, WAITING_RECORDS

if TYPE_CHECKING:
    import faust

STREAM_BUFFER_RECORDS = 64
"""Records that Faust keeps ready for an agent; two agents, and what waits to be sent on."""
_IN_HAND = 2 * STREAM_BUFFER_RECORDS + WAITING_RECORDS


class Figures:
    """The gauges of one worker."""

    def __init__(self, app: "faust.App", worker: str, topics: frozenset[str]) -> None:
        """Begin.

        Args:
            app: whose they are.
            worker: its name in the metrics.
            topics: what it reads, by full name.
        """
        self._app, self._topics = app, topics
        labels = (STAGE_NAME, worker)
        self._up = metrics.UP.labels(*labels)
        self._assigned = metrics.ASSIGNED.labels(*labels)
        self._lag = metrics.LAG.labels(*labels)
        self._in_flight = metrics.IN_FLIGHT.labels(*labels)
        metrics.IN_FLIGHT_LIMIT.labels(*labels).set(_IN_HAND)

    def at_work(self) -> bool:
        """Whether it is a member of its group, and knows the rows of its partitions."""
        app: Any = self._app
        recovery = app.tables.recovery
        ready = recovery.completed.is_set() and not recovery.in_recovery and not app.rebalancing
        self._up.set(ready)
        return bool(ready)

    async def look(self) -> None:
        """Say how many partitions it has, what it has in hand and what waits for it."""
        consumer: Any = self._app.consumer
        parts = [part for part in consumer.assignment() if part.topic in self._topics]
        pending: dict[Any, list[int]] = defaultdict(list)
        for message in list(consumer.unacked):
            if message.topic in self._topics:
                pending[message.tp].append(message.offset)
        positions = {part: await consumer.position(part) for part in parts}
        self._assigned.set(len(parts))
        self._in_flight.set(sum(map(len, pending.values())))
        self._lag.set(behind({part: consumer.highwater(part) for part in parts}, positions, pending))


def behind(
    ends: Mapping[Any, int | None], positions: Mapping[Any, int | None], pending: Mapping[Any, list[int]]
) -> int:
    """Records that are not done, markers of transactions between them included.

    Args:
        ends: the end of each partition, None before anything came of it.
        positions: the next record that will be fetched.
        pending: offsets of what is fetched, and not done.
    """
    total = 0
    for part, end in ends.items():
        done = min(pending.get(part) or [positions.get(part) or 0])
        total += max(0, (end or 0) - done)
    return total
