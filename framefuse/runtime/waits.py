"""What the workers of this process wait for, told once for all who ask: /readyz, a gauge and the log."""

import logging
import threading
from collections.abc import Mapping

from framefuse import metrics

log = logging.getLogger("framefuse.worker")


class SinkWaits:
    """Which workers wait for their sink, and why."""

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._lock = threading.Lock()
        self._because: dict[str, str] = {}

    @property
    def because(self) -> Mapping[str, str]:
        """By worker, what its sink said last; only those that wait."""
        with self._lock:
            return dict(self._because)

    def begin(self, worker: str, because: str) -> None:
        """This worker has something to write, and its sink does not take it; may be told again and again."""
        with self._lock:
            self._because[worker] = because
        metrics.WAITS_FOR_SINK.labels(self._stage, worker).set(1)

    def end(self, worker: str, *, written: bool) -> None:
        """Its sink takes results again (`written`), or it has given up what it wanted to write."""
        with self._lock:
            waited = self._because.pop(worker, None) is not None
        metrics.WAITS_FOR_SINK.labels(self._stage, worker).set(0)
        if waited and written:
            log.info("%s: its sink takes results again, writing goes on", worker)
