"""The join stage: detections and depth in, exactly one outcome a frame out."""

from typing import ClassVar

from pydantic import Field

from framefuse.settings import StageSettings
from framefuse.types import Stage
from processors.join.fuse import fuse
from processors.join.log_merge import Decision, Limits, LogMerge
from schemas.records import Depth, Derived, Fused, Side
from schemas.topics import DEPTH, DETECTIONS, FUSED

_SUFFIXES = {Side.DETECTION: DETECTIONS.suffix, Side.DEPTH: DEPTH.suffix}


class JoinSettings(StageSettings):
    """How long the join waits, and for how much."""

    section: ClassVar[str | None] = "join"

    wait_ms: int = Field(
        default=2000,
        ge=1,
        description="How long a live frame waits for its other side; more than the stages' freshness budget "
        "plus their slowest batch. Frames of files wait as long as it takes.",
    )
    pending_max: int = Field(
        default=1000,
        ge=2,
        description="Records that one side may lead by, per partition, before it is paused.",
    )
    pending_max_mib: int = Field(default=256, ge=1, description="The same, in MiB of depth maps.")


def join(settings: JoinSettings) -> LogMerge:
    """The merge that the runtime drives."""
    limits = Limits(
        wait_s=settings.wait_ms / 1000,
        pending_max=settings.pending_max,
        pending_max_bytes=settings.pending_max_mib << 20,
    )
    return LogMerge(tuple(_SUFFIXES.values()), fused, limits=limits, size_bytes_of=map_bytes)


def fused(decision: Decision) -> Fused:
    """The record of one decided frame."""
    return fuse(
        decision.origin,
        decision.halves.get(DETECTIONS.suffix),
        decision.halves.get(DEPTH.suffix),
        absent={
            side: decision.absent[suffix] for side, suffix in _SUFFIXES.items() if suffix in decision.absent
        },
        fused_at=decision.decided_at,
    )


def map_bytes(half: Derived) -> int:
    """The bytes of a half that matter: those of its depth map."""
    return len(half.map.data) if isinstance(half, Depth) and half.map else 0


STAGE = Stage("join", sources=(DETECTIONS, DEPTH), to=FUSED, settings=JoinSettings, merge=join)
