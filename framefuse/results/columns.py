"""Results as columns: the Arrow schema of the Fused record, for files and for users. Pure; knows no file."""

from collections.abc import Iterable
from functools import cache
from typing import Any

import pyarrow as pa

from schemas.codec import to_dict
from schemas.records import Fused

MAP_DATA = "map_data"
"""The bytes of the depth map, in a column of their own."""
_INSTANT = pa.timestamp("us", tz="UTC")


def table_of(results: Iterable[Fused]) -> pa.Table:
    """One row a result, in their order, with the columns of `arrow_schema`."""
    return pa.Table.from_pylist([_row(fused) for fused in results], schema=arrow_schema())


@cache
def arrow_schema() -> pa.Schema:
    """The columns: the Fused record, enums as strings, all times µs UTC."""
    text, integer, real = pa.string(), pa.int32(), pa.float64()
    frame = _struct(topic=text, partition=integer, offset=pa.int64(), appended_at=_INSTANT)
    box = _struct(x_min=real, y_min=real, x_max=real, y_max=real)
    depth = _struct(median=real, p10=real, p90=real, valid_ratio=real)
    found = _struct(label=text, class_id=integer, score=real, box=box)
    objects = pa.list_(pa.struct([*found, pa.field("depth", depth)]))
    missing = pa.list_(_struct(side=text, reason=text))
    depth_map = _struct(
        encoding=text, width=integer, height=integer, kind=text, unit=text, scale=real, offset=real
    )
    # Within `map`, so that readers of a folder take older files, which lack it, for the same columns.
    stabilised = pa.field("stabilised", _struct(scale=real, shift=real, since=pa.int64()))
    model = _struct(name=text, sha256=text, provider=text)
    timing = _struct(queue_ms=real, preprocess_ms=real, inference_ms=real, postprocess_ms=real)
    head = _struct(
        frame_id=text,
        stream_id=text,
        run_id=text,
        sequence=pa.int64(),
        captured_at=_INSTANT,
        attempt=integer,
        live=pa.bool_(),
        width=integer,
        height=integer,
        frame=frame,
        outcome=text,
        missing=missing,
        objects=objects,
        fused_at=_INSTANT,
    )
    nullable = {
        "detection_model": model,
        "depth_model": model,
        "detection_timing": timing,
        "depth_timing": timing,
        "map": pa.struct([*depth_map, stabilised]),
        MAP_DATA: pa.binary(),
    }
    return pa.schema([*head, *(pa.field(name, kind) for name, kind in nullable.items())])


def _row(fused: Fused) -> dict[str, Any]:
    row = to_dict(fused)
    if fused.map is not None:
        row[MAP_DATA] = row["map"].pop("data")
    return row


def _struct(**kinds: pa.DataType) -> pa.StructType:
    return pa.struct([pa.field(name, kind, nullable=False) for name, kind in kinds.items()])
