"""How results are cut into files and what the files are called; knows no Parquet and no store.

A file holds frames of one partition that were appended on one day (UTC). Its name says where it starts, its
footer where it ends. `docs/adr/0004-object-store.md` says why no frame can be in two of them.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date
from itertools import dropwhile, pairwise, takewhile
from typing import Self

from framefuse.errors import Stop
from schemas.records import Fused

TOPIC_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
FOOTER_PREFIX = "framefuse."


@dataclass(frozen=True, slots=True)
class Result:
    """A fused record and its offset in the topic `fused`."""

    fused: Fused
    fused_offset: int

    @property
    def frame_offset(self) -> int:
        """Of the frame in `frames`."""
        return self.fused.frame.offset

    @property
    def day(self) -> date:
        """The UTC day on which the frame was appended."""
        return self.fused.frame.appended_at.astimezone(UTC).date()


@dataclass(frozen=True, slots=True)
class Series:
    """The result files of one partition of one life of `frames` (made anew, a topic has another id)."""

    frames_topic_id: str
    partition: int

    def __post_init__(self) -> None:
        check_topic_id(self.frames_topic_id)

    def key(self, day: date, first_frame_offset: int) -> str:
        """Name of the file that starts at a frame, relative to the results; sorts as the frames do."""
        return f"{folder(day)}/{self.stem}{first_frame_offset:020d}.parquet"

    def first_frame_offset(self, key: str) -> int | None:
        """Where the file called `key` starts; None when it is not of this series."""
        name = key.rpartition("/")[2]
        digits = name.removeprefix(self.stem).removesuffix(".parquet")
        is_ours = name == f"{self.stem}{digits}.parquet" and re.fullmatch(r"[0-9]{20}", digits)
        return int(digits) if is_ours else None

    @property
    def stem(self) -> str:
        """What the names of the series begin with."""
        return f"{self.frames_topic_id}-{self.partition}-"


@dataclass(frozen=True, slots=True)
class Footer:
    """What the metadata of a result file says of it. Offsets of frames are inclusive."""

    frames_topic_id: str
    fused_topic_id: str
    partition: int
    first_frame_offset: int
    last_frame_offset: int
    fused_next_offset: int
    """Where to go on reading `fused` after this file."""

    def holds(self, frame_offset: int) -> bool:
        """Whether the frame belongs to the span of this file."""
        return self.first_frame_offset <= frame_offset <= self.last_frame_offset

    def as_metadata(self) -> dict[str, str]:
        """As key-value metadata of Parquet."""
        return {FOOTER_PREFIX + name: str(value) for name, value in asdict(self).items()}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> Self:
        """Of the key-value metadata of Parquet.

        Raises:
            KeyError, ValueError: it was not written by `as_metadata`.
        """
        return cls(
            metadata[FOOTER_PREFIX + "frames_topic_id"],
            metadata[FOOTER_PREFIX + "fused_topic_id"],
            int(metadata[FOOTER_PREFIX + "partition"]),
            int(metadata[FOOTER_PREFIX + "first_frame_offset"]),
            int(metadata[FOOTER_PREFIX + "last_frame_offset"]),
            int(metadata[FOOTER_PREFIX + "fused_next_offset"]),
        )


def check_topic_id(topic_id: str) -> None:
    """Let only what is safe in a file name pass.

    Raises:
        Stop: anything but 1 to 64 of A-Z, a-z, 0-9, '_', '-'.
    """
    if not TOPIC_ID.fullmatch(topic_id):
        raise Stop(f"topic id {topic_id!r} cannot name a file: expected letters, digits, '_', '-'")


def folder(day: date) -> str:
    """Folder of a day's results, which DuckDB and pandas read as a column `date`."""
    return f"date={day.isoformat()}"


def leading_run(results: Sequence[Result], before: int | None) -> Sequence[Result]:
    """The first results that may share a file: one day, rising frame offsets, all below `before`.

    Args:
        results: at least one, of one partition.
        before: a frame offset above the first one, or None.
    """
    day = results[0].day
    together = (
        after.day == day
        and result.frame_offset < after.frame_offset
        and (before is None or after.frame_offset < before)
        for result, after in pairwise(results)
    )
    return results[: 1 + sum(1 for _ in takewhile(bool, together))]


def beyond(results: Sequence[Result], kept: Footer) -> Sequence[Result]:
    """What is left when the leading frames are in the file of `kept`."""
    return list(dropwhile(lambda result: kept.holds(result.frame_offset), results))


def neighbours(starts: Iterable[int], frame_offset: int) -> tuple[int | None, int | None]:
    """Of the offsets where files start: the last one ≤ `frame_offset`, and the first one above it."""
    below: int | None = None
    above: int | None = None
    for start in starts:
        if start <= frame_offset:
            below = start if below is None else max(below, start)
        else:
            above = start if above is None else min(above, start)
    return below, above
