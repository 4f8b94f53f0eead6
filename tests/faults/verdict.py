"""The oracle of the fault suite: what was acknowledged against what is in each topic and in the store.

Reads with a plain client (read committed), plain fastavro and plain pyarrow: none of the product's reading.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import confluent_kafka as ck
import pyarrow.parquet as pq

from tests.parts.pipeline import Oracle, plain

Place = tuple[int, int]
"""Partition and offset of a frame in `frames`."""
_COLUMNS = ["frame_id", "frame", "outcome", "fused_at", "live"]


_ENDS_OF_A_FILE = {"FUSED", "OK"}
_ENDS_OF_A_LIVE_FRAME = _ENDS_OF_A_FILE | {"PARTIAL", "EXPIRED"}


@dataclass(frozen=True, slots=True)
class Row:
    """How a frame ended, as a topic or the store holds it: its outcome, or what one side said of it."""

    place: Place
    frame_id: str
    outcome: str
    at_s: float
    live: bool

    @property
    def expected(self) -> bool:
        """Whether a frame that can be computed may end so: of a file only whole, of a live stream in time."""
        return self.outcome in (_ENDS_OF_A_LIVE_FRAME if self.live else _ENDS_OF_A_FILE)


@dataclass(frozen=True)
class Verdict:
    """What became of the frames that a publisher was told are accepted."""

    case: str
    acknowledged: int
    outcomes: Mapping[str, int]
    missing: list[Place]
    duplicates: list[Place]
    out_of_order: list[Place]
    unexpected: list[Place]
    """Frames that ended as their own bytes do not explain."""
    silence_s: float
    """The longest time without a new outcome on any partition, while frames kept coming."""
    beside: Mapping[str, "Verdict"] = field(default_factory=dict, repr=False)
    """By name, what else holds a record of each frame: the topics of both sides, the store."""

    def __str__(self) -> str:
        ended = " ".join(f"{name.lower()} {count}" for name, count in sorted(self.outcomes.items()))
        line = (
            f"{self.case}: {self.acknowledged} acknowledged → {ended}; {self._faults()}, "
            f"recovery {self.silence_s:.1f} s"
        )
        beside = (f"\n    {name}: {one._count()}, {one._faults()}" for name, one in self.beside.items())
        return "".join([line, *beside])

    def _count(self) -> int:
        return sum(self.outcomes.values())

    def _faults(self) -> str:
        return (
            f"missing {len(self.missing)}, duplicates {len(self.duplicates)}, "
            f"out of order {len(self.out_of_order)}, unexpected {len(self.unexpected)}"
        )

    def assert_kept(self) -> None:
        """Nothing lost, nothing twice, nothing out of order, nothing that failed by itself."""
        for where, verdict in {"fused": self, **self.beside}.items():
            for fault in ("missing", "duplicates", "out_of_order", "unexpected"):
                places = getattr(verdict, fault)
                assert not places, f"{self.case}, {where}: {fault} {places[:20]}"


def judge(
    case: str,
    acknowledged: Mapping[Place, str],
    rows: Iterable[Row],
    beside: Mapping[str, Verdict] | None = None,
) -> Verdict:
    """Compare what was acknowledged with what is there, in the order it is there.

    `acknowledged` has the frame id by place; empty where the value is bad, has none, and may end anyhow.
    """
    rows = list(rows)
    by_partition: defaultdict[int, list[Row]] = defaultdict(list)
    for row in rows:
        by_partition[row.place[0]].append(row)
    neighbours = [pair for found in by_partition.values() for pair in pairwise(found)]
    times = Counter(row.place for row in rows)
    right = times.keys() & acknowledged.keys()
    wrong = {
        row.place for row in rows if row.place in right and acknowledged[row.place] not in ("", row.frame_id)
    }
    return Verdict(
        case,
        len(acknowledged),
        Counter(row.outcome for row in rows),
        missing=sorted((acknowledged.keys() - right) | wrong),
        duplicates=sorted(place for place, count in times.items() if count > 1),
        out_of_order=[after.place for before, after in neighbours if after.place < before.place],
        unexpected=[row.place for row in rows if not row.expected and acknowledged.get(row.place) != ""],
        silence_s=max((after.at_s - before.at_s for before, after in neighbours), default=0.0),
        beside=beside or {},
    )


def rows_of(topics: Oracle, suffix: str, *, at_least: int, patience_s: float) -> list[Row]:
    """All of a topic, read committed; waits for so many frames and then a little for one too many."""
    return topics.collect(
        suffix,
        _row,
        enough=lambda rows: len(rows) >= at_least and len({row.place for row in rows}) >= at_least,
        patience_s=patience_s,
        longer_s=3.0,
    )


def _row(message: ck.Message) -> Row:
    return _row_of(plain(message.value() or b""), message.timestamp()[1] / 1000)


def stored_rows(results: Path, frames_id: str = "") -> list[Row]:
    """All rows of a local store, by partition in the order of their files; those of one topic `frames`."""
    files = results.rglob(f"{frames_id}*.parquet")
    return [
        _row_of(record, record["fused_at"].timestamp())
        for path in sorted(files, key=lambda path: (path.parent.name, path.name))
        for record in pq.read_table(path, columns=_COLUMNS).to_pylist()
    ]


def _row_of(record: Mapping[str, Any], at_s: float) -> Row:
    place = record["frame"]["partition"], record["frame"]["offset"]
    ended = record["outcome"] if "outcome" in record else record["status"]
    return Row(place, record["frame_id"], ended, at_s, record["live"])
