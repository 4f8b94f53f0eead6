"""The topics: what each holds and how the broker must keep it. Knows no Kafka client."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from schemas import records, statistics

T = TypeVar("T")
STREAM_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
FRAME_ID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
DEFAULT_PREFIX = "framefuse"
IMAGE_LIMIT_BYTES = 4 << 20
_HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Topic(Generic[T]):
    """One topic: its suffix after the prefix, its record type, its settings on the broker."""

    suffix: str
    record: type[T]
    config: Mapping[str, str]
    per_frame: bool = False
    """One record a frame: has as many partitions as `frames`."""
    keyed: bool = False
    """As many partitions as `frames` when it is made, and never more: a key must stay on its partition."""
    partitions: int = 1
    """How many it is made with, where their number is not that of `frames`."""
    key: str = "stream id"
    """What the key of its records is, in words."""

    def name(self, prefix: str) -> str:
        """Full name on the broker, e.g. `framefuse.frames`."""
        return f"{prefix}.{self.suffix}"


def _kept(max_message_mib: int, retention_ms: int, **more: str) -> dict[str, str]:
    return {
        "cleanup.policy": "delete",
        "max.message.bytes": str(max_message_mib << 20),
        "retention.ms": str(retention_ms),
        **{name.replace("_", "."): value for name, value in more.items()},
    }


def _compacted(**more: str) -> dict[str, str]:
    return {
        "cleanup.policy": "compact",
        "max.message.bytes": str(1 << 20),
        **{name.replace("_", "."): value for name, value in more.items()},
    }


FRAMES = Topic(
    "frames",
    records.Frame,
    _kept(5, _HOUR_MS, retention_bytes=str(2 << 30), message_timestamp_type="LogAppendTime"),
    per_frame=True,
)
DETECTIONS = Topic("detections", records.Detections, _kept(1, 24 * _HOUR_MS), per_frame=True)
DEPTH = Topic("depth", records.Depth, _kept(6, 24 * _HOUR_MS), per_frame=True)
FUSED = Topic("fused", records.Fused, _kept(6, 24 * _HOUR_MS), per_frame=True)
DEAD_LETTERS = Topic(
    "dead-letters", records.DeadLetter, _kept(8, 7 * 24 * _HOUR_MS), key="that of the original record"
)
_BROKER_TIME = {"message_timestamp_type": "LogAppendTime"}
STREAMS = Topic("streams", records.Stream, _compacted(**_BROKER_TIME), partitions=12)
"""Shared by the publishers of cameras, so at most 12 share them; 12 divide evenly among 2, 3, 4 and 6."""
STREAM_STATES = Topic("stream-states", records.StreamState, _compacted(**_BROKER_TIME))
_OFTEN = {
    "segment_ms": str(_HOUR_MS // 6),
    "segment_bytes": str(16 << 20),
    "min_cleanable_dirty_ratio": "0.2",
}
"""For keys that are written every second: a segment is compacted only after it is closed."""
STATISTICS = Topic("statistics", statistics.Statistics, _compacted(**_OFTEN))
STATISTICS_EVENTS = Topic("statistics-events", statistics.StatisticsEvent, _kept(1, _HOUR_MS), keyed=True)
STATISTICS_ROWS = Topic(
    "statistics-streams-changelog", statistics.StatisticsRow, _compacted(**_OFTEN), keyed=True
)
"""The changelog of Faust's table `streams`, under the name that Faust gives it."""
SCHEMAS: Topic[bytes] = Topic(
    "schemas", bytes, _compacted(**_BROKER_TIME), key="fingerprint of the schema, 8 bytes"
)
"""Fingerprint (8 bytes, as on the wire) → schema JSON, so that any reader can decode any record."""

ALL: tuple[Topic[Any], ...] = (
    FRAMES,
    DETECTIONS,
    DEPTH,
    FUSED,
    DEAD_LETTERS,
    STREAMS,
    STREAM_STATES,
    STATISTICS,
    STATISTICS_EVENTS,
    STATISTICS_ROWS,
    SCHEMAS,
)


def valid_stream_id(text: str) -> bool:
    """Whether `text` can name a stream; `unreadable` is ours."""
    return STREAM_ID.fullmatch(text) is not None and text != records.UNREADABLE
