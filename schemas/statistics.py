"""What is known of each stream lately: the record of `statistics`, and what it is made from.

Approximate by design: the books are `framefuse audit`.
The twins of `schemas/statistics*.avsc`, field for field. Knows no Avro and no Kafka. Times are UTC.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from schemas.records import FrameRef, Outcome


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


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedFrame:
    """A frame, and how it ended."""

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
    last: EndedFrame
    quiet: bool
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What the counting needs of one result."""

    ended: EndedFrame
    detected: bool
    labels: Mapping[str, int] = field(default_factory=dict)
    nearest: Nearest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatisticsEvent:
    """Some results of one stream, without boxes and maps."""

    stream_id: str
    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class Counted:
    """How far the results of one partition of frames are counted."""

    partition: int
    offset: int
    appended_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """Some seconds of a stream."""

    number: int
    frames: int = 0
    latencies: Mapping[str, int] = field(default_factory=dict)
    labels: Mapping[str, int] = field(default_factory=dict)
    nearest: Nearest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatisticsRow:
    """All that is kept of a stream: a row of the table, and of its changelog."""

    stream_id: str
    since: datetime
    frames: int
    outcomes: Mapping[str, int]
    counted: tuple[Counted, ...]
    slots: tuple[Slot, ...]
    last: EndedFrame
    seen: Sample | None = None
