"""Reads result files back, row by row in the order of the frames, without their depth maps.

For `framefuse audit --store`: found through the entry-point group `framefuse.stored_rows`.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from framefuse.audit.stored import StoredRow
from framefuse.errors import Stop
from schemas.records import FrameRef
from sinks.result_files import Series, folder
from sinks.result_store import ResultStore, existing_results

_MARGIN = timedelta(days=1)
"""Of the day of a frame: the clock of a broker may have been put back since the frame before."""
_ROWS_AT_ONCE = 256
_COLUMNS = ("frame_id", "stream_id", "sequence", "attempt", "frame", "outcome")


class ResultRows:
    """The rows of all result files of a store."""

    def __init__(self, store: ResultStore) -> None:
        self._store = store
        self._folders = list(store.folders())

    def rows(self, frames_topic_id: str, first: FrameRef) -> Iterator[StoredRow]:
        """See `StoredRows.rows`.

        Raises:
            SinkBusy: the store does not answer.
            Stop: it does not let us read, or a file is no Parquet.
        """
        series = Series(frames_topic_id, first.partition)
        since = folder(first.appended_at.astimezone(UTC).date() - _MARGIN)
        keys = {
            start: key
            for day in self._folders
            if day >= since
            for key in self._store.names(day, series.stem)
            if (start := series.first_frame_offset(key)) is not None
        }
        begin = max((start for start in keys if start <= first.offset), default=0)
        for start in sorted(keys):
            if start >= begin:
                yield from self._rows_of(keys[start])

    def _rows_of(self, key: str) -> Iterator[StoredRow]:
        with self._store.reader(key) as file:
            try:
                parquet = pq.ParquetFile(pa.PythonFile(file, mode="r"))
                for batch in parquet.iter_batches(_ROWS_AT_ONCE, columns=list(_COLUMNS)):
                    yield from map(_row_of, batch.to_pylist())
            except (pa.ArrowException, OSError) as error:
                raise Stop(f"{key} cannot be read as Parquet: {error}") from None


def _row_of(row: Mapping[str, Any]) -> StoredRow:
    return StoredRow(
        row["frame"]["offset"],
        row["frame_id"],
        row["stream_id"],
        row["sequence"],
        row["attempt"],
        row["outcome"],
    )


def open_rows(url: str) -> ResultRows:
    """The rows of the store at a local folder, or at s3://, gs://, az://.

    Raises:
        BadInput: there is no such folder, or the URL is of no kind we know.
        SinkBusy, Stop: it cannot be listed.
    """
    return ResultRows(existing_results(url))
