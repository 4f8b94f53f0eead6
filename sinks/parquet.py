"""Fused records as a Parquet file and back to its footer; knows no store and no Kafka.

One row a frame, with the names of the Fused record. The picture of the depth map stands in a column of its
own, `map_data`, last and uncompressed (it is a PNG already): who reads the scalars never touches it.
"""

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from framefuse.results.columns import MAP_DATA, table_of
from schemas.records import Fused
from sinks.result_files import Footer

FOOTER_BYTES = 256 << 10
"""No footer of ours is longer: some 45 columns with their least and greatest values."""


class NotAResultFile(ValueError):
    """A file that is not Parquet, or whose footer is not ours."""


def encode(batch: Sequence[Fused], footer: Footer) -> bytes:
    """The bytes of one result file: one row group, a row a frame, in the order of `batch`."""
    table = table_of(batch).replace_schema_metadata(footer.as_metadata())
    small = [path for path in _leaves(table.schema) if path != MAP_DATA]
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
