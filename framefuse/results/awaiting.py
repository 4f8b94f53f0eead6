"""Waiting until frames have an outcome: `Awaited` decides, `OutcomeReader` reads the fused results."""

from collections import Counter
from collections.abc import Mapping

from framefuse.kafka import Admin, Reader
from framefuse.settings import KafkaSettings
from schemas.codec import SchemaBook, decode
from schemas.records import Fused, Outcome
from schemas.topics import FUSED

_PREFETCH_RECORDS = 20


class Awaited:
    """Which frames have an outcome yet. Pure.

    `fused` has one record a frame, in order of frame offsets: a partition is done when the record of the last
    frame, or of a later one, has been seen.
    """

    def __init__(self) -> None:
        self.outcomes: dict[str, Counter[Outcome]] = {}
        """By run id. A lost frame has no run any more; see `done`."""
        self._reached: dict[int, int] = {}

    def take(self, fused: Fused) -> None:
        """One record of `fused`."""
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
            Stop: there is no such topic.
        """
        Admin(settings).partition_count(FUSED.name(settings.prefix))
        self.awaited = Awaited()
        self._book = SchemaBook()
        self._reader = Reader(settings, prefetch=_PREFETCH_RECORDS, client_id="framefuse-wait")
        bounds = self._reader.bounds(FUSED.name(settings.prefix))
        self._reader.assign({partition: end for partition, (_, end) in bounds.items()})

    def read(self, timeout_s: float) -> int:
        """Take in what has come, waiting at most `timeout_s`; the number of records."""
        messages = self._reader.poll(timeout_s)
        for message in messages:
            self.awaited.take(decode(message.value, Fused, self._book))
        return len(messages)

    def __enter__(self) -> "OutcomeReader":
        return self

    def __exit__(self, *exc: object) -> None:
        self._reader.close()
