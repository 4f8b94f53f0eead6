"""What is known of each stream lately: the record of `statistics`, and what it is made from.

Approximate by design (see `docs/adr/0007-where-faust-stands.md`): the books are `framefuse audit`.
The twins of `schemas/statistics*.avsc`, field for field. Knows no Avro and no Kafka. Times are UTC.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from schemas.records import Derived, FrameRef, Outcome


@dataclass(frozen=True, slots=True)
class Nearest:
    """The nearest object; an empty unit means relative depth, where larger is nearer."""

    label: str
    depth: float
    unit: str


@dataclass(frozen=True, slots=True)
class LabelCount:
    """Objects of one label: in the last frame, and in all frames of the last minute together."""

    label: str
    now: int
    last_minute: int


@dataclass(frozen=True, slots=True)
class LastFrame:
    """The last frame of a stream in the order (run_id, sequence, attempt)."""

    frame_id: str
    run_id: str
    sequence: int
    attempt: int
    captured_at: datetime
    frame: FrameRef
    outcome: Outcome
    fused_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """One stream as it is now; written at most once a second, and not at all while it stays quiet."""

    stream_id: str
    since: datetime
    frames: int
    outcomes: Mapping[str, int]
    frames_per_s: float
    frames_last_minute: int
    latency_p50_ms: float | None = None
    latency_p95_ms: float | None = None
    labels: tuple[LabelCount, ...] = ()
    nearest: Nearest | None = None
    nearest_last_minute: Nearest | None = None
    last: LastFrame
    quiet: bool
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StatisticsEvent(Derived):
    """One result without its boxes and its map: what the counting needs of it."""

    outcome: Outcome
    detected: bool
    labels: Mapping[str, int]
    nearest: Nearest | None = None
    fused_at: datetime
