"""Result files are plain Parquet: whole, typed, and readable with DuckDB and pandas without our code."""

from pathlib import Path
from typing import Any

import cv2
import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from framefuse.results.columns import MAP_DATA, arrow_schema
from schemas.codec import to_dict
from schemas.records import Fused
from sinks.object_store import ObjectStoreSink
from sinks.parquet import encode, read_footer
from sinks.result_files import Footer
from sinks.result_store import open_results
from sinks.stored_rows import open_rows
from tests.parts.results import (
    CONTEXT,
    FRAMES_ID,
    Group,
    GroupPositions,
    a_fused,
    an_expired,
    an_output,
    outputs,
)
from tests.unit.builders import START, a_map

DEPTH_M = np.linspace(1, 5, 12, dtype=np.float32).reshape(3, 4)


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder `results` in the current one, as `framefuse run object-store` leaves it: two files."""
    monkeypatch.chdir(tmp_path)
    sink = ObjectStoreSink(open_results("./results"), CONTEXT)
    first = [a_fused(0, labels=("crate", "ball"), depth_map=a_map(DEPTH_M)), a_fused(1, labels=("crate",))]
    for batch in (first, [a_fused(2, labels=()), an_expired(3)]):
        outputs = [an_output(fused) for fused in batch]
        sink.write(outputs, GroupPositions(Group(), outputs[-1].offset + 1))
    return tmp_path / "results"


def test_every_field_of_a_fused_record_comes_back(tmp_path: Path) -> None:
    batch = [a_fused(0), an_expired(1)]
    path = tmp_path / "one.parquet"
    path.write_bytes(encode(batch, Footer("a", "b", 0, 0, 1, 2)))
    rows = pq.ParquetFile(path).read().to_pylist()
    for fused, row in zip(batch, rows, strict=True):
        data = row.pop(MAP_DATA)
        if row["map"] is not None:
            row["map"]["data"] = data
        assert row == to_dict(fused)


def test_the_columns_are_the_fields_of_the_fused_record_and_the_map() -> None:
    assert set(arrow_schema().names) == {*Fused.__dataclass_fields__, MAP_DATA}


def test_the_map_has_an_uncompressed_column_of_its_own_at_the_end(results: Path) -> None:
    group = pq.read_metadata(min(results.rglob("*.parquet"))).row_group(0)
    columns = [group.column(index) for index in range(group.num_columns)]
    assert columns[-1].path_in_schema == MAP_DATA
    assert columns[-1].compression == "UNCOMPRESSED"
    assert {column.compression for column in columns[:-1]} == {"ZSTD"}


def test_scalars_cost_few_bytes_beside_large_maps(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).uniform(1, 5, (120, 160)).astype(np.float32)
    frames = [a_fused(offset, depth_map=a_map(noise)) for offset in range(100)]
    content = encode(frames, Footer("a", "b", 0, 0, 99, 100))
    group = pq.read_metadata(_written(tmp_path, content)).row_group(0)
    scalars = sum(group.column(index).total_compressed_size for index in range(group.num_columns - 1))
    assert scalars < len(content) / 50


def test_a_footer_is_read_from_the_last_bytes_alone(tmp_path: Path) -> None:
    footer = Footer("a", "b", 3, 10, 12, 20)
    content = encode([a_fused(offset) for offset in (10, 11, 12)], footer)
    footer_bytes = int.from_bytes(content[-8:-4], "little") + 8
    assert read_footer(content[-footer_bytes:]) == footer


def test_duckdb_counts_labels_and_reads_one_row_a_frame(results: Path) -> None:
    del results  # it is the current folder's `results`
    counts = sql("""
        SELECT object.label, count(*) AS objects, round(avg(object.depth.median), 2) AS distance
        FROM (SELECT unnest(objects) AS object FROM 'results/**/*.parquet')
        GROUP BY ALL ORDER BY objects DESC
    """)
    assert counts == [("crate", 2, 2.5), ("ball", 1, 2.5)]
    frames = sql("""
        SELECT "date"::VARCHAR, frame.partition, frame."offset", outcome, epoch(captured_at)
        FROM read_parquet('results/**/*.parquet', hive_partitioning = true) ORDER BY frame."offset"
    """)
    assert [row[:4] for row in frames] == [
        ("2026-03-01", 0, 0, "FUSED"),
        ("2026-03-01", 0, 1, "FUSED"),
        ("2026-03-01", 0, 2, "FUSED"),
        ("2026-03-01", 0, 3, "EXPIRED"),
    ]
    assert frames[0][4] == START.timestamp()


def test_pandas_reads_one_row_a_frame_and_unnests_the_objects(results: Path) -> None:
    del results
    frames = pd.read_parquet("results", columns=["stream_id", "sequence", "objects"])
    records: Any = frames.explode("objects").dropna().to_dict("records")
    objects = pd.json_normalize(records)
    assert len(frames) == 4
    assert objects["objects.label"].value_counts().to_dict() == {"crate": 2, "ball": 1}
    assert objects["objects.depth.median"].mean() == 2.5


def test_opencv_decodes_the_depth_map_of_a_row(results: Path) -> None:
    del results
    row = pd.read_parquet("results", columns=["map", "map_data"]).iloc[0]
    pixels = cv2.imdecode(np.frombuffer(row["map_data"], np.uint8), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    depth_m = pixels * row["map"]["scale"] + row["map"]["offset"]
    np.testing.assert_allclose(depth_m, DEPTH_M, atol=1e-3)


def sql(query: str) -> list[tuple[Any, ...]]:
    relation = duckdb.sql(query)
    assert relation is not None
    return relation.fetchall()


def _written(folder: Path, content: bytes) -> Path:
    path = folder / "one.parquet"
    path.write_bytes(content)
    return path


def test_rows_are_read_back_from_the_file_that_holds_a_frame_and_from_no_day_long_before(
    tmp_path: Path,
) -> None:
    sink = ObjectStoreSink(open_results(str(tmp_path)), CONTEXT)
    for first in (0, 10, 20):
        sink.write(outputs(first, first + 9), GroupPositions(Group(), first + 10))
    long_ago = tmp_path / "date=2020-01-01"
    long_ago.mkdir()
    (long_ago / f"{FRAMES_ID}-0-{12:020d}.parquet").write_bytes(b"read, this would stop us")

    rows = list(open_rows(str(tmp_path)).rows(FRAMES_ID, a_fused(14).frame))

    assert [row.offset for row in rows] == list(range(10, 30))
    assert rows[4].frame_id == a_fused(14).frame_id
