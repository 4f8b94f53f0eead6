"""The object-store sink on a real S3 server: put if absent, adoption by range, clear refusals, DuckDB."""

from collections.abc import Callable, Sequence
from threading import Barrier, Lock, Thread, get_ident

import obstore
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from obstore.store import ObjectStore, from_url

from framefuse.errors import Stop
from framefuse.settings import KafkaSettings, load
from framefuse.types import Partition, SinkContext
from sinks.object_store import ObjectStoreSettings, ObjectStoreSink, open_store
from sinks.result_store import ResultStore
from tests.parts.results import CONTEXT, Group, GroupPositions, outputs
from tests.parts.s3 import S3Server

S3_CONTEXT = SinkContext(CONTEXT.prefix, CONTEXT.topic_ids, load(KafkaSettings, bootstrap="127.0.0.1:1"))
OpenSink = Callable[[], ObjectStoreSink]


@pytest.fixture
def environment(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.fixture
def url(s3: S3Server, environment: pytest.MonkeyPatch, topic_prefix: str) -> str:
    del environment
    return f"s3://{s3.bucket}/{topic_prefix}"


def a_sink(url: str) -> ObjectStoreSink:
    return open_store(load(ObjectStoreSettings, url=url), S3_CONTEXT)


def frames(store: ObjectStore) -> list[int]:
    keys = sorted(entry["path"] for page in obstore.list(store) for entry in page)
    return [row["frame"]["offset"] for key in keys for row in rows(store, key)]


def rows(store: ObjectStore, key: str) -> Sequence[dict[str, dict[str, int]]]:
    content = pa.BufferReader(bytes(obstore.get(store, key).bytes()))
    return pq.read_table(content, columns=["frame"]).to_pylist()


def test_batches_become_files_and_positions_are_committed(url: str) -> None:
    sink, group = a_sink(url), Group()
    assert sink.write(outputs(0, 9), GroupPositions(group, 10)) is None
    assert sink.write(outputs(10, 14), GroupPositions(group, 16)) is None
    assert frames(from_url(url, client_options={"allow_http": True})) == list(range(15))
    assert group.commits == [10, 16]


def test_the_next_owner_goes_on_where_the_file_of_a_killed_writer_ends(url: str) -> None:
    a_sink(url).write(outputs(0, 9), GroupPositions(Group(), 10))
    group = Group()
    assert a_sink(url).write(outputs(0, 4), GroupPositions(group, 5)) == {Partition("framefuse.fused", 0): 10}
    assert a_sink(url).write(outputs(10, 12), GroupPositions(group, 13)) is None
    assert frames(from_url(url, client_options={"allow_http": True})) == list(range(13))


def test_of_two_writers_at_once_one_file_stays_and_both_go_on_after_it(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have looked and found nothing, then both put: in turn, as s3proxy lets two puts at once win."""
    looked, turn, create = Barrier(2), Lock(), ResultStore.create
    seen: set[int] = set()

    def in_turn(store: ResultStore, key: str, content: bytes) -> None:
        if get_ident() not in seen:
            seen.add(get_ident())
            looked.wait(30)
        with turn:
            create(store, key, content)

    monkeypatch.setattr(ResultStore, "create", in_turn)
    group = Group()
    writers = [
        Thread(target=lambda last=last: a_sink(url).write(outputs(0, last), GroupPositions(group, last + 1)))
        for last in (9, 19)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    kept = frames(from_url(url, client_options={"allow_http": True}))
    assert kept == list(range(20))
    assert max(group.commits) == 20


def test_a_bucket_that_does_not_exist_stops_the_worker_at_its_start(environment: pytest.MonkeyPatch) -> None:
    del environment
    with pytest.raises(Stop, match="make the bucket or folder first"):
        a_sink("s3://no-such-bucket/results")


def test_a_wrong_secret_stops_the_worker_and_is_not_told(url: str, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("AWS_SECRET_ACCESS_KEY", "guessed-in-vain")
    with pytest.raises(Stop, match="list, read and write there") as refused:
        a_sink(url)
    assert "guessed-in-vain" not in str(refused.value)
