"""Runs one life in the group after another, until stopped or until it makes no sense to go on."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from framefuse import metrics
from framefuse.errors import BrokerUnavailable, Retry, Stop
from framefuse.kafka import Fenced

log = logging.getLogger("framefuse.worker")
_FENCES_LIMIT = 3
_FENCES_WINDOW_S = 60.0
_LONGEST_PAUSE_S = 5.0


class Life(Protocol):
    """One life in the group: joins, works until stopped or failed, leaves."""

    def run(self) -> None:
        """Raises Retry or BrokerUnavailable to be followed by a new life, another Stop to be the last."""


class Fences:
    """Tells a time-out (fenced once) from a twin (fenced again and again). Pure: time is an argument."""

    def __init__(self) -> None:
        self._at_s: deque[float] = deque(maxlen=_FENCES_LIMIT)

    def note(self, now_s: float) -> bool:
        """Take note of a fence; whether there have been too many within a minute."""
        self._at_s.append(now_s)
        return len(self._at_s) == _FENCES_LIMIT and now_s - self._at_s[0] < _FENCES_WINDOW_S


def run_worker(
    stage: str, name: str, life: Callable[[], Life], stop: threading.Event, *, outage_pause_s: float = 2.0
) -> None:
    """Work as `name` until `stop` is set.

    Raises:
        Stop: this worker cannot do its job.
    """
    fences = Fences()
    while not stop.is_set():
        try:
            life().run()
        except BrokerUnavailable as error:
            # The command found its broker when it started, so this is an outage, and it passes.
            metrics.REJOINS.labels(stage, type(error).__name__).inc()
            log.warning("%s waits for its broker: %s", name, error)
            stop.wait(outage_pause_s)
        except Retry as error:
            if isinstance(error, Fenced) and fences.note(time.monotonic()):
                raise Stop(
                    f"another worker runs as {name}: give each its own FRAMEFUSE_INSTANCE ({error})"
                ) from error
            metrics.REJOINS.labels(stage, type(error).__name__).inc()
            log.warning("%s reads again from its committed position: %s", name, error)
            stop.wait(min(error.retry_after_s, _LONGEST_PAUSE_S))
