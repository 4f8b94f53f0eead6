"""The oracle of the fault suite: what was acknowledged against what is in the topics and in the store.

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


@dataclass(frozen=True, slots=True)
class Row:
    """A frame's outcome, as the topic or the store holds it."""

    place: Place
    frame_id: str
    outcome: str
    at_s: float
    live: bool


@dataclass(frozen=True)
class Verdict:
    """What became of the frames that a publisher was told are accepted."""

    case: str
    acknowledged: int
    outcomes: Mapping[str, int]
    missing: list[Place]
    duplicates: list[Place]
    out_of_order: list[Place]
    not_fused: list[Place]
    """Frames of files without a result of both sides: only their own bytes may take it from them."""
    silence_s: float
    """The longest time without a new outcome on any partition, while frames kept coming."""
    store: "Verdict | None" = field(default=None, repr=False)

    def __str__(self) -> str:
        ended = " ".join(f"{name.lower()} {count}" for name, count in sorted(self.outcomes.items()))
        line = (
            f"{self.case}: {self.acknowledged} acknowledged → {ended}; missing {len(self.missing)}, "
            f"duplicates {len(self.duplicates)}, out of order {len(self.out_of_order)}, "
            f"files not fused {len(self.not_fused)}, recovery {self.silence_s:.1f} s"
        )
        return line if self.store is None else f"{line}\n    in the store {self.store._counts()}"

    def _counts(self) -> str:
        return (
            f"{sum(self.outcomes.values())}: missing {len(self.missing)}, "
            f"duplicates {len(self.duplicates)}, out of order {len(self.out_of_order)}"
        )

    def assert_kept(self) -> None:
        """Nothing lost, nothing twice, nothing out of order."""
        for verdict in filter(None, (self, self.store)):
            assert not verdict.missing, f"{verdict.case}: missing {verdict.missing[:20]}"
            assert not verdict.duplicates, f"{verdict.case}: duplicated {verdict.duplicates[:20]}"
            assert not verdict.out_of_order, f"{verdict.case}: out of order {verdict.out_of_order[:20]}"
            assert not verdict.not_fused, f"{verdict.case}: files not fused {verdict.not_fused[:20]}"


def judge(
    case: str, acknowledged: Mapping[Place, str], rows: Iterable[Row], store: Verdict | None = None
) -> Verdict:
    """Compare what was acknowledged with what is there, in the order it is there.

    `acknowledged` has the frame id by place; empty where the value has none to be held to.
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
        not_fused=[row.place for row in rows if not row.live and row.outcome not in ("FUSED", "DEAD_LETTER")],
        silence_s=max((after.at_s - before.at_s for before, after in neighbours), default=0.0),
        store=store,
    )


def fused_rows(topics: Oracle, *, at_least: int, patience_s: float) -> list[Row]:
    """All of `fused`, read committed; waits for so many frames and then a little for one too many."""
    return topics.collect(
        "fused",
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
    return Row(place, record["frame_id"], record["outcome"], at_s, record["live"])
