"""Builders of records for tests: each names only what its test is about. No I/O."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, TypeVar
from uuid import NAMESPACE_OID, uuid5

import numpy as np

from framefuse.pictures.decoding import Values, encode_map
from framefuse.types import Record
from schemas.records import (
    Box,
    Depth,
    DepthKind,
    DepthMap,
    Derived,
    Detections,
    Encoding,
    Frame,
    FrameRef,
    Model,
    Object,
    Status,
    Timing,
)

T = TypeVar("T")
START = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
"""When the first frame of a test was appended, unless it says otherwise."""
MODEL = Model("demo.onnx", "0" * 64, "CPUExecutionProvider")
TIMING = Timing(queue_ms=1.0, preprocess_ms=2.0, inference_ms=3.0, postprocess_ms=0.5)


def at(seconds: float) -> datetime:
    """A moment this many seconds after `START`."""
    return START + timedelta(seconds=seconds)


def a_frame(
    stream: str = "gate",
    sequence: int = 0,
    *,
    image: bytes = b"\xff\xd8 not a real picture",
    width: int = 640,
    height: int = 480,
    live: bool = False,
    freshness_ms: int | None = None,
    attempt: int = 0,
) -> Frame:
    """A frame record; its picture decodes only if the test brings one."""
    return Frame(
        frame_id=str(uuid5(NAMESPACE_OID, f"{stream}/{sequence}")),
        stream_id=stream,
        run_id="01960000-0000-7000-8000-000000000000",
        sequence=sequence,
        captured_at=START,
        attempt=attempt,
        live=live,
        width=width,
        height=height,
        encoding=Encoding.JPEG,
        image=image,
        sha256=sha256(image).hexdigest(),
        freshness_ms=freshness_ms,
    )


def origin_at(
    frame_offset: int,
    *,
    stream: str = "gate",
    live: bool = False,
    appended_at: datetime = START,
    partition: int = 0,
    width: int = 640,
    height: int = 480,
) -> Derived:
    """The head of everything computed from the frame at this offset, the same for each side."""
    return Derived(
        frame_id=str(uuid5(NAMESPACE_OID, f"{stream}/{frame_offset}")),
        stream_id=stream,
        run_id="01960000-0000-7000-8000-000000000000",
        sequence=frame_offset,
        captured_at=START,
        attempt=0,
        live=live,
        width=width,
        height=height,
        frame=FrameRef("framefuse.frames", partition, frame_offset, appended_at),
    )


def an_object(
    box: tuple[float, float, float, float] = (10, 10, 50, 50), *, label: str = "crate", score: float = 0.9
) -> Object:
    """One detected object; the box is x_min, y_min, x_max, y_max in pixels of the frame."""
    return Object(label, 0, score, Box(*box))


def detections_of(
    frame_offset: int,
    *,
    status: Status = Status.OK,
    reason: str | None = None,
    objects: Sequence[Object] = (),
    **origin: Any,
) -> Detections:
    """The detection side of a frame; `origin` as in `origin_at`."""
    worked = status is Status.OK
    return Detections(
        **origin_at(frame_offset, **origin).head(),
        status=status,
        reason=reason,
        objects=tuple(objects),
        model=MODEL if worked else None,
        timing=TIMING if worked else None,
    )


def depth_of(
    frame_offset: int,
    *,
    status: Status = Status.OK,
    reason: str | None = None,
    map: DepthMap | None = None,  # noqa: A002  (the field's name)
    **origin: Any,
) -> Depth:
    """The depth side of a frame, with a small flat map unless it brings one; `origin` as in `origin_at`."""
    worked = status is Status.OK
    return Depth(
        **origin_at(frame_offset, **origin).head(),
        status=status,
        reason=reason,
        map=(map or a_map(np.full((2, 4), 3.0, np.float32))) if worked else None,
        model=MODEL if worked else None,
        timing=TIMING if worked else None,
    )


def a_map(values: Values) -> DepthMap:
    """A metric depth map in metres of these values (h×w, NaN: none)."""
    return encode_map(values, DepthKind.METRIC, "m")


def a_record(value: T, topic: str, offset: int, *, partition: int = 0) -> Record[T]:
    """A decoded record as the runtime hands it on."""
    return Record(value, topic, partition, offset, START)
