"""The stage object-store on a real broker: several partitions, files that are there already, poison."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from prometheus_client import REGISTRY

from framefuse.broker.home import RunningBroker
from framefuse.kafka import Admin, Producer, Reader
from framefuse.runtime.running import RunOptions, run_stage
from framefuse.settings import KafkaSettings, load
from schemas.codec import SchemaBook, decode, encode
from schemas.records import DeadLetter
from schemas.topics import ALL, DEAD_LETTERS, FRAMES, FUSED
from sinks import parquet
from sinks.object_store import STAGE, ObjectStoreSettings
from sinks.result_files import Footer, Series
from sinks.result_store import open_results
from tests.parts.results import a_fused
from tests.unit.builders import START

pytestmark = pytest.mark.broker
PARTITIONS = 2
FRAMES_EACH = 300


@pytest.fixture
def kafka(broker: RunningBroker, topic_prefix: str) -> KafkaSettings:
    settings = load(KafkaSettings, bootstrap=broker.bootstrap, prefix=topic_prefix)
    Admin(settings).create_topics(ALL, partitions=PARTITIONS)
    return settings


def publish(kafka: KafkaSettings, *, poison: bytes | None = None) -> None:
    """Fill every partition of `fused`; a `poison` comes last, in partition 1."""
    producer = Producer(kafka)
    topic = FUSED.name(kafka.prefix)
    for frame_offset in range(FRAMES_EACH):
        for partition in range(PARTITIONS):
            fused = a_fused(frame_offset, partition=partition)
            producer.send(topic, encode(fused), key=b"gate", partition=partition)
    if poison is not None:
        producer.send(topic, poison, key=b"gate", partition=1)
    assert producer.flush(10.0) == 0


def put_before(kafka: KafkaSettings, url: str, partition: int, first: int, last: int) -> None:
    """The file of a worker that was killed before its commit."""
    ids = Admin(kafka).topic_ids([FRAMES.name(kafka.prefix), FUSED.name(kafka.prefix)])
    frames_id, fused_id = ids[FRAMES.name(kafka.prefix)], ids[FUSED.name(kafka.prefix)]
    footer = Footer(frames_id, fused_id, partition, first, last, last + 1)
    batch = [a_fused(frame_offset, partition=partition) for frame_offset in range(first, last + 1)]
    open_results(url).create(
        Series(frames_id, partition).key(START.date(), first), parquet.encode(batch, footer)
    )


@contextmanager
def running(kafka: KafkaSettings, settings: ObjectStoreSettings) -> Iterator[None]:
    stop = threading.Event()
    options = RunOptions(metrics_port=0)
    worker = threading.Thread(target=run_stage, args=(STAGE, settings, kafka, options, stop))
    worker.start()
    try:
        yield
    finally:
        stop.set()
        worker.join()


def frames(folder: Path) -> dict[int, list[int]]:
    """Frame offsets in the files, by partition."""
    found: dict[int, list[int]] = {partition: [] for partition in range(PARTITIONS)}
    for path in sorted(folder.rglob("*.parquet")):
        for row in pq.ParquetFile(path).read(columns=["frame"]).to_pylist():
            found[row["frame"]["partition"]].append(row["frame"]["offset"])
    return found


def wait_for_all(folder: Path, timeout_s: float = 30.0) -> None:
    """Until the last frame of every partition is in a file."""
    until_s = time.monotonic() + timeout_s
    while any(not offsets or max(offsets) < FRAMES_EACH - 1 for offsets in frames(folder).values()):
        assert time.monotonic() < until_s, {part: len(offsets) for part, offsets in frames(folder).items()}
        time.sleep(0.2)


def test_a_file_that_is_there_on_one_partition_loses_nothing_of_the_others(
    kafka: KafkaSettings, tmp_path: Path
) -> None:
    for first in range(0, FRAMES_EACH, 60):
        put_before(kafka, str(tmp_path), 0, first, first + 39)
    publish(kafka)
    settings = load(ObjectStoreSettings, url=str(tmp_path), max_rows=25, max_wait_s=0.2)
    with running(kafka, settings):
        wait_for_all(tmp_path)
    assert frames(tmp_path) == {number: list(range(FRAMES_EACH)) for number in range(PARTITIONS)}


def test_a_value_that_cannot_be_read_becomes_a_dead_letter_and_the_rest_is_kept(
    kafka: KafkaSettings, tmp_path: Path
) -> None:
    publish(kafka, poison=b"not avro")
    settings = load(ObjectStoreSettings, url=str(tmp_path), max_wait_s=0.2)
    with running(kafka, settings):
        wait_for_all(tmp_path)
    assert frames(tmp_path) == {number: list(range(FRAMES_EACH)) for number in range(PARTITIONS)}
    (letter,) = dead_letters(kafka)
    assert (letter.value, letter.partition, letter.offset) == (b"not avro", 1, FRAMES_EACH)
    assert letter.stage == "object-store"
    assert REGISTRY.get_sample_value("framefuse_lost_total", {"stage": "object-store"}) == 0


def dead_letters(kafka: KafkaSettings) -> list[DeadLetter]:
    with Reader(kafka) as reader:
        reader.assign(
            {part: low for part, (low, _) in reader.bounds(DEAD_LETTERS.name(kafka.prefix)).items()}
        )
        messages = [message for _ in range(10) for message in reader.poll(0.2)]
    return [decode(message.value, DeadLetter, SchemaBook()) for message in messages]
