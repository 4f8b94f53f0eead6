"""The records of every topic as frozen dataclasses; the twins of `schemas/*.avsc`.

Field for field what the Avro files say (a test compares them), so their `doc` is not repeated here.
Knows no Avro and no Kafka. Times are timezone-aware UTC.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TypedDict

UNREADABLE = "unreadable"
"""Stream id of a frame whose record itself cannot be read."""


class Encoding(StrEnum):
    """Of a frame's picture."""

    JPEG = "JPEG"
    PNG = "PNG"
    WEBP = "WEBP"


class MapEncoding(StrEnum):
    """Of a depth map."""

    PNG16 = "PNG16"


class DepthKind(StrEnum):
    """RELATIVE_INVERSE: larger is nearer, no unit. METRIC: distance in the map's unit."""

    RELATIVE_INVERSE = "RELATIVE_INVERSE"
    METRIC = "METRIC"


class Status(StrEnum):
    """How one side of a frame ended."""

    OK = "OK"
    EXPIRED = "EXPIRED"
    FAILED = "FAILED"


class Side(StrEnum):
    """The two computations that the join brings together."""

    DETECTION = "DETECTION"
    DEPTH = "DEPTH"


class Outcome(StrEnum):
    """How a frame ended: exactly one a frame, final."""

    FUSED = "FUSED"
    PARTIAL = "PARTIAL"
    EXPIRED = "EXPIRED"
    DEAD_LETTER = "DEAD_LETTER"
    LOST = "LOST"


class State(StrEnum):
    """What the publisher of a stream does."""

    STARTING = "STARTING"
    RUNNING = "RUNNING"
    STALLED = "STALLED"
    RECONNECTING = "RECONNECTING"
    ENDED = "ENDED"


@dataclass(frozen=True, slots=True)
class FrameRef:
    """Where a frame record sits in the log: its identity and its order."""

    topic: str
    partition: int
    offset: int
    appended_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What a frame and everything derived from it carry."""

    frame_id: str
    stream_id: str
    run_id: str
    sequence: int
    captured_at: datetime
    attempt: int
    live: bool
    width: int
    height: int


class HeadFields(TypedDict):
    """The fields of `Derived` by name, to pass on: `Detections(**origin.head(), status=...)`."""

    frame_id: str
    stream_id: str
    run_id: str
    sequence: int
    captured_at: datetime
    attempt: int
    live: bool
    width: int
    height: int
    frame: FrameRef


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived(Head):
    """The head of everything computed from a frame."""

    frame: FrameRef

    def head(self) -> HeadFields:
        """The head alone, for another record about the same frame."""
        return HeadFields(
            frame_id=self.frame_id,
            stream_id=self.stream_id,
            run_id=self.run_id,
            sequence=self.sequence,
            captured_at=self.captured_at,
            attempt=self.attempt,
            live=self.live,
            width=self.width,
            height=self.height,
            frame=self.frame,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame(Head):
    """One encoded picture of a stream."""

    encoding: Encoding
    image: bytes = field(repr=False)
    sha256: str
    freshness_ms: int | None = None
    capture_to_send_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Box:
    """Corners in pixels of the source frame; x grows right, y grows down; max is exclusive."""

    x_min: float
    y_min: float
    x_max: float
    y_max: float


@dataclass(frozen=True, slots=True)
class Object:
    """One detected object; `score` in 0..1."""

    label: str
    class_id: int
    score: float
    box: Box


@dataclass(frozen=True, slots=True)
class Model:
    """What computed a result, and the execution provider that really ran."""

    name: str
    sha256: str
    provider: str


@dataclass(frozen=True, slots=True)
class Timing:
    """Milliseconds spent on one frame (its share of a batch)."""

    queue_ms: float
    preprocess_ms: float
    inference_ms: float
    postprocess_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Detections(Derived):
    """The objects of one frame; `model` and `timing` only when `status` is OK."""

    status: Status
    reason: str | None = None
    objects: tuple[Object, ...] = ()
    model: Model | None = None
    timing: Timing | None = None


@dataclass(frozen=True, slots=True)
class Stabilisation:
    """How a relative map was changed: value of the map = value of the model * scale + shift.

    Maps of one run and partition that have the same `since` (a sequence) are on one scale.
    """

    scale: float
    shift: float
    since: int


@dataclass(frozen=True, slots=True)
class DepthMap:
    """A depth map at the model's resolution: value = pixel * scale + offset; pixel 0 means no value."""

    encoding: MapEncoding
    width: int
    height: int
    kind: DepthKind
    unit: str
    scale: float
    offset: float
    data: bytes = field(repr=False)
    stabilised: Stabilisation | None = None


@dataclass(frozen=True, slots=True)
class DepthStats:
    """Over the valid values of a map, in its unit."""

    minimum: float
    median: float
    maximum: float
    valid_ratio: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth(Derived):
    """The depth map of one frame; everything but the head only when `status` is OK."""

    status: Status
    reason: str | None = None
    map: DepthMap | None = None
    stats: DepthStats | None = None
    model: Model | None = None
    timing: Timing | None = None


@dataclass(frozen=True, slots=True)
class ObjectDepth:
    """Depth over the box of an object, in the unit of the map."""

    median: float
    p10: float
    p90: float
    valid_ratio: float


@dataclass(frozen=True, slots=True)
class FusedObject(Object):
    """One detected object with its depth; None where no valid value lies under its box."""

    depth: ObjectDepth | None = None


@dataclass(frozen=True, slots=True)
class Missing:
    """A side without a result, and why."""

    side: Side
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fused(Derived):
    """The one outcome of one frame."""

    outcome: Outcome
    missing: tuple[Missing, ...] = ()
    objects: tuple[FusedObject, ...] = ()
    map: DepthMap | None = None
    detection_model: Model | None = None
    depth_model: Model | None = None
    detection_timing: Timing | None = None
    depth_timing: Timing | None = None
    fused_at: datetime


@dataclass(frozen=True, slots=True)
class Header:
    """One Kafka header."""

    name: str
    value: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A record that could not be processed, byte for byte, and why."""

    topic: str
    partition: int
    offset: int
    timestamp: datetime
    key: bytes | None = None
    value: bytes | None = field(default=None, repr=False)
    headers: tuple[Header, ...] = ()
    stage: str
    error: str
    message: str
    version: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """A source that should be published; credentials in `source` only as references."""

    stream_id: str
    source: str
    live: bool
    fps: float | None = None
    freshness_ms: int | None = None
    partition: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamState:
    """How a source is."""

    stream_id: str
    run_id: str
    state: State
    published: int
    dropped: int
    rejected: int
    last_sequence: int | None = None
    ended: str | None = None
    updated_at: datetime
