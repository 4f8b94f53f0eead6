"""The meaning of the join: what becomes of a frame, given what its two sides said. Pure."""

from collections.abc import Mapping
from datetime import datetime

from framefuse.errors import UnreadableImage
from framefuse.pictures.decoding import Values, decode_map
from processors.join.objects import with_depth
from schemas.records import Depth, Derived, Detections, Fused, Missing, Outcome, Side, Status


def fuse(
    origin: Derived,
    detections: Detections | None,
    depth: Depth | None,
    *,
    absent: Mapping[Side, str],
    fused_at: datetime,
) -> Fused:
    """The one outcome of a frame.

    A depth map that does not decode is no result: the objects are kept without depth, the frame is PARTIAL.
    It is decoded only where there are objects to measure.

    Args:
        origin: the head of the frame.
        detections: the half of this side, whatever its status; None when it has none.
        depth: the same for the other side.
        absent: why each side without a half has none.
        fused_at: now.
    """
    missing = [
        Missing(side, reason)
        for side, half in ((Side.DETECTION, detections), (Side.DEPTH, depth))
        if (reason := _why_missing(half, absent.get(side)))
    ]
    outcome = outcome_of(detections, depth)
    objects = detections.objects if detections else ()
    map_ = depth.map if depth else None
    values: Values | None = None
    if outcome is Outcome.FUSED and objects and map_:
        try:
            values = decode_map(map_)
        except UnreadableImage as error:
            # Not DEAD_LETTER: that says that the frame's bytes are in the dead letters, and they are not.
            map_, outcome = None, Outcome.PARTIAL
            missing.append(Missing(Side.DEPTH, f"failed: {error}"))
    return Fused(
        **origin.head(),
        outcome=outcome,
        missing=tuple(missing),
        objects=with_depth(objects, values, width=origin.width, height=origin.height),
        map=map_,
        detection_model=detections.model if detections else None,
        depth_model=depth.model if depth else None,
        detection_timing=detections.timing if detections else None,
        depth_timing=depth.timing if depth else None,
        fused_at=fused_at,
    )


def outcome_of(detections: Detections | None, depth: Depth | None) -> Outcome:
    """How a frame ended, from the status of each side that has a record."""
    told = [half.status for half in (detections, depth) if half]
    if Status.FAILED in told:
        return Outcome.DEAD_LETTER
    if Status.OK in told:
        return Outcome.FUSED if told.count(Status.OK) == 2 else Outcome.PARTIAL
    return Outcome.EXPIRED if told else Outcome.LOST


def _why_missing(half: Detections | Depth | None, absence: str | None) -> str | None:
    if half is None:
        return absence
    if half.status is Status.OK:
        return None
    return f"{half.status.lower()}: {half.reason}" if half.reason else half.status.lower()
