"""Fused records as a Parquet file and back to its footer; knows no store and no Kafka.

One row a frame, with the names of the Fused record. The picture of the depth map stands in a column of its
own, `map_data`, last and uncompressed (it is a PNG already): who reads the scalars never touches it.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.codec import to_dict
from schemas.records import Fused
from sinks.result_files import Footer

MAP_DATA = "map_data"
FOOTER_BYTES = 256 << 10
"""No footer of ours is longer: some 45 columns with their least and greatest values."""
_INSTANT = pa.timestamp("us", tz="UTC")


class NotAResultFile(ValueError):
    """A file that is not Parquet, or whose footer is not ours."""


@cache
def arrow_schema() -> pa.Schema:
    """Columns of a result file: the Fused record, enums as strings, all times µs UTC."""
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
        "map": depth_map,
        MAP_DATA: pa.binary(),
    }
    return pa.schema([*head, *(pa.field(name, kind) for name, kind in nullable.items())])


def encode(batch: Sequence[Fused], footer: Footer) -> bytes:
    """The bytes of one result file: one row group, a row a frame, in the order of `batch`."""
    schema = arrow_schema().with_metadata(footer.as_metadata())
    table = pa.Table.from_pylist([_row(fused) for fused in batch], schema=schema)
    small = [path for path in _leaves(schema) if path != MAP_DATA]
    out = pa.BufferOutputStream()
    pq.write_table(
        table,
        out,
        row_group_size=max(1, len(batch)),
        compression={MAP_DATA: "none", **dict.fromkeys(small, "zstd")},
        use_dictionary=small,  # type: ignore[arg-type]  # the stubs know only a boolean
        write_statistics=small,
    )
    return out.getvalue().to_pybytes()


def read_footer(end: bytes) -> Footer:
    """The footer of a result file.

    Args:
        end: the file or its last bytes, `FOOTER_BYTES` at most are needed.

    Raises:
        NotAResultFile: it is not Parquet, or not ours.
    """
    try:
        metadata = pq.read_metadata(pa.BufferReader(end)).metadata or {}
        return Footer.from_metadata({name.decode(): value.decode() for name, value in metadata.items()})
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise NotAResultFile(str(error)) from error


def _row(fused: Fused) -> dict[str, Any]:
    row = to_dict(fused)
    if fused.map is not None:
        row[MAP_DATA] = row["map"].pop("data")
    return row


def _struct(**kinds: pa.DataType) -> pa.StructType:
    return pa.struct([pa.field(name, kind, nullable=False) for name, kind in kinds.items()])


def _leaves(parent: pa.Schema | pa.StructType) -> Iterator[str]:
    """Paths of the columns as Parquet has them, e.g. `objects.list.element.box.x_min`."""
    for field in parent:
        kind, path = field.type, field.name
        if pa.types.is_list(kind):
            kind, path = kind.value_type, f"{path}.list.element"
        if isinstance(kind, pa.StructType):
            yield from (f"{path}.{leaf}" for leaf in _leaves(kind))
        else:
            yield path
