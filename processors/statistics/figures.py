"""What Prometheus learns of this worker: whether it is at work, with how many partitions, and how far behind.

Of streams it learns nothing but their sum: there may be any number of them, and each would stay a time series
long after it is gone. What each of them does is in the topic `statistics`.
"""

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

    def __init__(self, app: "faust.App", worker: str) -> None:
        """Begin.

        Args:
            app: whose they are.
            worker: its name in the metrics.
        """
        self._app = app
        labels = (STAGE_NAME, worker)
        self._up = metrics.UP.labels(*labels)
        self._assigned = metrics.ASSIGNED.labels(*labels)
        self._lag = metrics.LAG.labels(*labels)
        self._in_flight = metrics.IN_FLIGHT.labels(*labels)
        metrics.IN_FLIGHT_LIMIT.labels(*labels).set(_IN_HAND)

    def at_work(self) -> bool:
        """Whether it is a member of a group that answers, and knows the rows of its partitions."""
        app: Any = self._app
        recovery = app.tables.recovery
        recovered = recovery.completed.is_set() and not recovery.in_recovery and not app.rebalancing
        ready = recovered and app.consumer.known_to_group
        self._up.set(ready)
        return bool(ready)

    def look(self) -> None:
        """Say how many partitions it has, what it has in hand and what it has not committed."""
        consumer: Any = self._app.consumer
        self._assigned.set(consumer.partitions)
        self._in_flight.set(len(consumer.unacked))
        self._lag.set(consumer.behind)
