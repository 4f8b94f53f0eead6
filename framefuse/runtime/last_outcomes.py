"""Where a merge had come, read from what it wrote: for when its group has forgotten.

A group's positions can be reset, deleted, or expire. From the start of its sources the merge would then
decide every frame once more, and write it once more.
"""

from collections.abc import Iterable

from framefuse.kafka import Admin, Message, Reader
from framefuse.kafka.notes import made_anew
from framefuse.settings import KafkaSettings
from framefuse.types import Partition
from schemas.codec import SchemaBook, decode
from schemas.records import Derived

_FIRST_LOOK = 64
"""Offsets from the end, some of them markers of transactions; eight times as many with each further look."""


class LastOutcomes:
    """Reads the last record of partitions of one topic. Connects for each question: it is seldom asked."""

    def __init__(self, kafka: KafkaSettings, topic: str, frames: str, book: SchemaBook) -> None:
        """`topic` holds records about `frames`; both are full names."""
        self._kafka, self._topic, self._frames, self._book = kafka, topic, frames, book

    def of(self, kind: type[Derived], numbers: Iterable[int]) -> dict[int, Derived]:
        """The last committed record of each partition that has one.

        Raises:
            Retry: the broker does not answer, or somebody's transaction is still open.
            Stop: they tell of frames that are not there.
        """
        with Reader(self._kafka) as reader:
            bounds = reader.bounds(self._topic)
            parts = [Partition(self._topic, number) for number in numbers]
            last = {part.number: self._last(reader, part, *bounds[part]) for part in parts}
        found = {number: decode(one.value, kind, self._book) for number, one in last.items() if one}
        ends = Admin(self._kafka).end_offsets(self._frames) if found else {}
        for number, outcome in found.items():
            if outcome.frame.offset >= ends[number]:
                told = f"{self._topic} tells of offset {outcome.frame.offset} of partition {number}"
                raise made_anew(self._frames, f"{told}, which ends at {ends[number]}")
        return found

    def _last(self, reader: Reader, part: Partition, low: int, end: int) -> Message | None:
        look, start = _FIRST_LOOK, end
        while start > low:
            start, look = max(low, end - look), look * 8
            last = None
            for message in reader.within({part: (start, end)}):
                last = message
            if last is not None:
                return last
        return None
