"""Waiting until frames have an outcome: `Awaited` decides, `OutcomeReader` reads the fused results."""

from collections import Counter
from collections.abc import Mapping

from framefuse.kafka import Admin
from framefuse.results.outcome_tail import OutcomeTail
from framefuse.settings import KafkaSettings
from schemas.heads import FusedHead
from schemas.records import Outcome
from schemas.topics import FUSED


class Awaited:
    """Which frames have an outcome yet. Pure.

    `fused` has one record a frame, in order of frame offsets: a partition is done when the record of the last
    frame, or of a later one, has been seen.
    """

    def __init__(self) -> None:
        self.outcomes: dict[str, Counter[Outcome]] = {}
        """By run id. A lost frame has no run any more; see `done`."""
        self._reached: dict[int, int] = {}

    def take(self, fused: FusedHead) -> None:
        """The head of one record of `fused`."""
        self.outcomes.setdefault(fused.run_id, Counter())[fused.outcome] += 1
        at = fused.frame
        self._reached[at.partition] = max(self._reached.get(at.partition, 0), at.offset + 1)

    def done(self, ends: Mapping[int, int]) -> bool:
        """Whether every frame below these offsets, by partition, has an outcome."""
        return all(self._reached.get(partition, 0) >= end for partition, end in ends.items())


class OutcomeReader:
    """Reads `fused` from where it ends now; made before the first frame is published. A context manager."""

    def __init__(self, settings: KafkaSettings) -> None:
        """Connect.

        Raises:
            BrokerUnavailable, Retry: the broker did not answer.
            Stop: a topic is missing, or we may not read it.
        """
        Admin(settings).partition_count(FUSED.name(settings.prefix))
        self.awaited = Awaited()
        self._tail = OutcomeTail(settings, client_id="framefuse-wait")

    def read(self, timeout_s: float) -> int:
        """Take in what has come, waiting at most `timeout_s`; the number of outcomes."""
        heads = self._tail.read(timeout_s)
        for head in heads:
            self.awaited.take(head)
        return len(heads)

    def __enter__(self) -> "OutcomeReader":
        return self

    def __exit__(self, *exc: object) -> None:
        self._tail.close()
