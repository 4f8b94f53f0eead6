"""A reader as users have them: how long it sees nothing new."""

import threading
import time
from collections import defaultdict
from itertools import pairwise

import confluent_kafka as ck

from tests.parts.pipeline import Oracle


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
        wanted, give_up_s = self.seen + count, time.monotonic() + patience_s
        while self.seen < wanted:
            assert time.monotonic() < give_up_s, f"{self.seen} outcomes, not {wanted}, in {patience_s} s"
            time.sleep(0.05)

    def _run(self) -> None:
        seen_s: defaultdict[int, list[float]] = defaultdict(list)
        with self._topics.consumer("fused", ck.OFFSET_END) as consumer:
            while not self._stop.is_set():
                message = consumer.poll(0.1)
                if message is not None and message.error() is None:
                    self.seen += 1
                    seen_s[message.partition() or 0].append(time.monotonic())
        for times in seen_s.values():
            for before_s, after_s in pairwise(times):
                self.waited_s = max(self.waited_s, after_s - before_s)
