"""A reader as users have them: how long it sees nothing new."""

import threading
import time

import confluent_kafka as ck

from tests.parts.pipeline import Oracle
from tests.parts.waiting import until


class LiveReader:
    """Reads `fused`, read committed, from now on; knows its longest wait on any partition."""

    def __init__(self, topics: Oracle) -> None:
        self.waited_s = 0.0
        """The longest time between two outcomes of a partition."""
        self.seen = 0
        """Outcomes so far."""
        self._topics = topics
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="live reader")

    def __enter__(self) -> "LiveReader":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def wait_for_more(self, count: int, patience_s: float = 120.0) -> None:
        """Until so many more outcomes have come: what breaks now breaks in the middle of work."""
        wanted = self.seen + count
        until(lambda: self.seen >= wanted, patience_s, what=f"{count} more outcomes")

    def _run(self) -> None:
        last_s: dict[int | None, float] = {}
        with self._topics.consumer("fused", ck.OFFSET_END) as consumer:
            while not self._stop.is_set():
                message = consumer.poll(0.1)
                if message is not None and message.error() is None:
                    now_s = time.monotonic()
                    waited_s = now_s - last_s.get(message.partition(), now_s)
                    last_s[message.partition()] = now_s
                    self.waited_s = max(self.waited_s, waited_s)
                    self.seen += 1
