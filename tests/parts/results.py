"""Fused records, the log that holds them and the group that reads it: what sinks are tested with. No I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import NAMESPACE_OID, uuid5

import numpy as np

from framefuse.errors import Retry
from framefuse.types import Member, Output, Partition, SinkContext
from schemas.records import Box, DepthMap, Fused, FusedObject, Missing, ObjectDepth, Outcome, Side
from tests.unit.builders import MODEL, START, TIMING, a_map, origin_at

FRAMES_ID = "frAMes-id_0000000000AA"
FUSED_ID = "fuSEd-id_00000000000BB"
CONTEXT = SinkContext("framefuse", {"framefuse.frames": FRAMES_ID, "framefuse.fused": FUSED_ID})
FRAME_INTERVAL = timedelta(milliseconds=40)


def a_fused(
    frame_offset: int,
    *,
    labels: Sequence[str] = ("crate", "ball"),
    depth_map: DepthMap | None = None,
    appended_at: datetime | None = None,
    partition: int = 0,
) -> Fused:
    """A frame with an object a label and a small map, unless it brings one."""
    appended_at = appended_at or START + frame_offset * FRAME_INTERVAL
    depths = ObjectDepth(median=2.5, p10=2.25, p90=3.0, valid_ratio=1.0)
    return Fused(
        **origin_at(frame_offset, appended_at=appended_at, partition=partition).head(),
        outcome=Outcome.FUSED,
        objects=tuple(
            FusedObject(label, index, 0.5, Box(1.0, 2.0, 30.0, 40.5), depths)
            for index, label in enumerate(labels)
        ),
        map=depth_map or a_map(np.full((2, 4), 3.0, np.float32)),
        detection_model=MODEL,
        depth_model=MODEL,
        detection_timing=TIMING,
        depth_timing=TIMING,
        fused_at=START,
    )


def an_expired(frame_offset: int) -> Fused:
    """A frame without anything but its head."""
    return Fused(
        **origin_at(frame_offset).head(),
        outcome=Outcome.EXPIRED,
        missing=(Missing(Side.DETECTION, "expired"), Missing(Side.DEPTH, "expired")),
        fused_at=START,
    )


def an_output(fused: Fused, fused_offset: int | None = None) -> Output[Fused]:
    """A fused record on its way to a sink; in `fused` it has the frame's own offset unless told."""
    offset = fused.frame.offset if fused_offset is None else fused_offset
    return Output(fused, fused.frame.partition, offset, START, fused.stream_id.encode())


def outputs(first: int, last: int) -> list[Output[Fused]]:
    """The frames `first` to `last`, inclusive, of partition 0."""
    return [an_output(a_fused(frame_offset)) for frame_offset in range(first, last + 1)]


def frame_id(frame_offset: int) -> str:
    """Of the frame at an offset."""
    return str(uuid5(NAMESPACE_OID, f"gate/{frame_offset}"))


@dataclass(slots=True)
class Group:
    """The committed position of partition 0 of `fused`."""

    committed: int = 0
    commits: list[int] = field(default_factory=list)


@dataclass(slots=True)
class GroupPositions:
    """The positions of a batch that ends before `next_offset`; `fenced`: the group has gone on without us."""

    of: Group
    next_offset: int
    fenced: bool = False
    group: Member | None = None

    @property
    def offsets(self) -> Mapping[Partition, int]:
        return {Partition("framefuse.fused", 0): self.next_offset}

    def commit(self, moved: Mapping[Partition, int] | None = None) -> None:
        if self.fenced:
            raise Retry("the group has moved on")
        (self.of.committed,) = (self.offsets if moved is None else moved).values()
        self.of.commits.append(self.of.committed)
