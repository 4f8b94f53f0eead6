"""Which declared streams are ours to publish, from the partitions of `streams` that we own. Pure.

A partition counts once it has been read to its end: before that a declaration may be an old one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from schemas.records import Stream


@dataclass(frozen=True, slots=True)
class Entry:
    """A declared stream, and when it was declared, by the broker's clock."""

    stream: Stream
    at: datetime


@dataclass(slots=True)
class _Share:
    complete: bool = False
    entries: dict[str, Entry] = field(default_factory=dict)


class Roster:
    """The streams of the partitions that are ours."""

    def __init__(self) -> None:
        self._shares: dict[int, _Share] = {}

    def assigned(self, partitions: Iterable[int]) -> None:
        """These partitions are ours; what they hold follows."""
        for partition in partitions:
            self._shares[partition] = _Share()

    def revoked(self, partitions: Iterable[int]) -> None:
        """These partitions, and their streams, belong to others."""
        for partition in partitions:
            self._shares.pop(partition, None)

    def declare(self, partition: int, stream_id: str, entry: Entry | None) -> None:
        """The latest word of a partition on a stream; None: it is no longer declared."""
        share = self._shares.get(partition)
        if share is None:
            return
        if entry is None:
            share.entries.pop(stream_id, None)
        else:
            share.entries[stream_id] = entry

    def complete(self, partition: int) -> None:
        """All that the partition holds has been told."""
        if partition in self._shares:
            self._shares[partition].complete = True

    def ours(self) -> Mapping[str, Entry]:
        """What to publish now, by stream id; of a stream in several partitions the latest declaration."""
        found: dict[str, Entry] = {}
        for share in self._shares.values():
            if share.complete:
                for stream_id, entry in share.entries.items():
                    if stream_id not in found or found[stream_id].at < entry.at:
                        found[stream_id] = entry
        return found
