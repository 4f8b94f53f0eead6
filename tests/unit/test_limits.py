"""What bounds memory, records and patience: each limit at its edge, and the page that lists them."""

import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from prometheus_client import REGISTRY

from framefuse.errors import Stop
from framefuse.kafka.connection import MESSAGE_LIMIT_BYTES, QUEUE_LIMIT_BYTES, QUEUE_LIMIT_RECORDS
from framefuse.kafka.producer import BufferFull, Producer
from framefuse.pictures.decoding import encode_map
from framefuse.runtime import worker
from framefuse.runtime.dead_letters import MESSAGE_LIMIT_CHARS
from framefuse.runtime.flight import Flight, Waiting
from framefuse.runtime.result_size import SizeLimit
from framefuse.runtime.worker import Membership
from framefuse.settings import KafkaSettings
from framefuse.types import BatchPolicy, Output, Partition
from processors.depth.meaning import LONG_SIDE
from processors.detection.settings import DetectionSettings
from processors.statistics.counting import LABELS, SLOTS
from schemas.codec import encode
from schemas.records import DeadLetter, DepthKind, Fused, FusedObject, ObjectDepth, Outcome
from schemas.statistics import LabelCount, Slot
from schemas.topics import (
    DEAD_LETTERS,
    DEPTH,
    DETECTIONS,
    FRAMES,
    FUSED,
    IMAGE_LIMIT_BYTES,
    STATISTICS,
    STATISTICS_ROWS,
    Topic,
)
from tests.parts.results import a_fused
from tests.unit.builders import MODEL, START, a_frame, an_object, depth_of, detections_of
from tests.unit.test_statistics import a_result, row_of, told

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "limits.md"
STREAM = "s" * 64
LABEL = "l" * 200
"""Longer than a class of any model we know."""
ENVELOPE_BYTES = 512


def waiting(count: int, *, size_bytes: int = 100) -> list[Waiting]:
    """Records on their way to the batcher; what they hold is of no matter here."""
    started: Any = None
    return [Waiting(started, 0, size_bytes) for _ in range(count)]


# ── what a worker has in hand ──


@pytest.mark.parametrize(("max_records", "limit"), [(1, 5), (8, 16), (64, 128)])
def test_a_worker_reads_ahead_two_batches_and_no_more(max_records: int, limit: int) -> None:
    flight = Flight(BatchPolicy(max_records, 60.0))

    assert flight.room() == flight.limit == limit
    flight.add(waiting(limit - 1))
    assert flight.room() == 1
    flight.add(waiting(1))
    assert flight.room() == 0


def test_large_records_fill_a_worker_before_many_do() -> None:
    flight = Flight(BatchPolicy(64, 60.0))

    flight.add(waiting(15, size_bytes=4 << 20))
    assert flight.room() > 0
    flight.add(waiting(1, size_bytes=4 << 20))
    assert flight.room() == 0
    assert flight.next_batch() is not None  # it does not wait for more of what may not come
    assert flight.room() > 0


def test_a_worker_whose_writes_are_slow_computes_no_further_than_512_results() -> None:
    flight = Flight(BatchPolicy(256, 0.0))
    result: Any = Output(None, 0, 0, START, None)
    for _ in range(2):
        flight.add(waiting(256))
        batch = flight.next_batch()
        assert batch is not None
        batch.outputs = [result] * 256
        flight.processed(batch)
    flight.add(waiting(1))
    later: list[object] = []
    computing = threading.Thread(target=lambda: later.append(flight.next_batch()))

    computing.start()
    computing.join(0.2)
    assert later == []
    assert len(flight.next_write() or ()) == 2
    computing.join(10)
    assert len(later) == 1


@dataclass
class QuietConsumer:
    """A member of a group to which nothing comes; notes what is asked of it."""

    asked: list[str] = field(default_factory=list)

    def poll(self, timeout_s: float, limit: int) -> Sequence[Any]:
        assert (timeout_s, limit) == (0.0, 5)
        self.asked.append("poll")
        return []

    def pause(self, parts: Iterable[Partition]) -> None:
        self.asked.append(f"pause {len(list(parts))}")


def test_a_worker_that_waits_for_a_slow_model_pauses_and_goes_on_polling(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Who does not poll for max.poll.interval is put out of its group.
    monkeypatch.setattr(worker, "_LONGEST_SILENCE_S", 0.01)
    policy = BatchPolicy(1)
    parts: Any = type("AnyParts", (), {"policy": policy, "stage": "own", "name": "own-0"})()
    life, consumer = Membership(parts, threading.Event()), QuietConsumer()
    life._consumer = cast(Any, consumer)
    life._committed = {Partition("frames", 0): 0, Partition("frames", 1): 0}
    life._flight.add(waiting(life._flight.limit))

    life._wait_for_room()
    life._wait_for_room()

    assert consumer.asked == ["pause 2", "poll", "pause 2", "poll"]


# ── what a producer has in hand ──


def test_a_producer_whose_broker_is_away_takes_100_000_records_and_then_says_so() -> None:
    producer = Producer(KafkaSettings(bootstrap="127.0.0.1:9"))

    def fill() -> None:
        for _ in range(2 * QUEUE_LIMIT_RECORDS):
            producer.send("t", b"x", key=None)

    with pytest.raises(BufferFull) as full:
        fill()

    assert len(producer) >= QUEUE_LIMIT_RECORDS  # with what the client has to say of its broker
    assert full.value.retry_after_s > 0
    producer.abandon()
    assert producer.poll(0.1) >= 0
    producer.send("t", b"x", key=None)
    producer.abandon()


def test_the_queue_of_a_producer_holds_many_of_the_largest_records() -> None:
    assert QUEUE_LIMIT_BYTES > 16 * MESSAGE_LIMIT_BYTES


# ── sizes that nest ──


def most_of(topic: Topic[Any]) -> int:
    """Bytes of a value that a topic takes for sure."""
    return int(topic.config["max.message.bytes"]) - ENVELOPE_BYTES


LARGEST_MAP = encode_map(
    np.random.default_rng(0).uniform(1, 60_000, (LONG_SIDE, LONG_SIDE)).astype(np.float32),
    DepthKind.METRIC,
    "m",
)
MOST_OBJECTS = next(
    part.le for part in DetectionSettings.model_fields["max_det"].metadata if hasattr(part, "le")
)
LARGEST_FRAME = a_frame(STREAM, image=bytes(IMAGE_LIMIT_BYTES))


def the_largest_fused() -> Fused:
    one = an_object(label=LABEL)
    there = FusedObject(one.label, one.class_id, one.score, one.box, ObjectDepth(1.0, 1.0, 1.0, 1.0))
    return replace(
        a_fused(1, depth_map=LARGEST_MAP),
        stream_id=STREAM,
        objects=(there,) * MOST_OBJECTS,
        detection_model=replace(MODEL, name=LABEL),
    )


def test_the_largest_picture_fits_the_topic_of_frames() -> None:
    assert len(encode(LARGEST_FRAME)) <= most_of(FRAMES)


def test_the_dead_letter_of_whatever_a_topic_takes_fits_the_dead_letters() -> None:
    largest = max(most_of(topic) for topic in (FRAMES, DETECTIONS, DEPTH, FUSED)) + ENVELOPE_BYTES
    letter = DeadLetter(
        topic="t" * 249,
        partition=1,
        offset=1 << 60,
        timestamp=START,
        key=STREAM.encode(),
        value=bytes(largest),
        stage="s" * 64,
        error="e" * 64,
        message="\N{GREEK SMALL LETTER OMEGA}" * MESSAGE_LIMIT_CHARS,
        version="1",
        attempt=0,
    )

    assert len(encode(letter)) <= most_of(DEAD_LETTERS)
    assert int(DEAD_LETTERS.config["max.message.bytes"]) <= MESSAGE_LIMIT_BYTES


def test_the_most_objects_fit_the_topic_of_detections() -> None:
    found = [an_object(label=LABEL)] * MOST_OBJECTS

    assert len(encode(detections_of(1, objects=found, stream=STREAM))) <= most_of(DETECTIONS)


def test_the_largest_map_fits_the_topic_of_depth_and_with_the_most_objects_that_of_fused() -> None:
    assert len(LARGEST_MAP.data) > 1 << 20  # it is noise, which no PNG makes small
    assert len(encode(depth_of(1, map=LARGEST_MAP, stream=STREAM))) <= most_of(DEPTH)
    assert len(encode(the_largest_fused())) <= most_of(FUSED)


def test_the_largest_row_of_a_stream_fits_the_topics_of_statistics() -> None:
    labels = {f"{LABEL}{number}": 1 << 40 for number in range(LABELS + 1)}
    latencies = {str(number): 1 << 20 for number in range(600)}
    row = replace(
        row_of(a_result(0)),
        slots=tuple(Slot(number=n, labels=labels, latencies=latencies) for n in range(SLOTS)),
        outcomes=dict.fromkeys(Outcome, 1 << 60),
    )
    counts = tuple(LabelCount(label, 1 << 40, 1 << 40) for label in labels)

    assert len(encode(row)) <= most_of(STATISTICS_ROWS)
    assert len(encode(replace(told(a_result(0), seconds=1), labels=counts))) <= most_of(STATISTICS)


def test_a_result_that_its_topic_never_takes_stops_the_worker_instead_of_being_tried_for_ever() -> None:
    result = detections_of(7, objects=[an_object()] * 30)

    roomy, tight = (SizeLimit("framefuse.detections", most_bytes) for most_bytes in (3000, 1000))

    assert roomy.fitted(encode(result), partition=0, offset=7) == encode(result)
    with pytest.raises(Stop, match=r"at 7 has [\d,]+ bytes, framefuse.detections takes 1,000 at most"):
        tight.fitted(encode(result), partition=0, offset=7)


# ── the page ──


def rows() -> list[list[str]]:
    """The cells of the tables in `docs/limits.md`, headings left out."""
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return [row for row in cells if row[0].strip() != "what"]


def test_every_limit_on_the_page_has_a_metric_or_says_why_not_and_a_test_that_is_there() -> None:
    known = {metric.name for metric in REGISTRY.collect()}
    known |= {f"{name}_total" for name in known}
    tests = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    assert len(rows()) > 20
    for row in rows():
        assert len(row) == 5, row
        for name in re.findall(r"framefuse_\w+", row[3]):
            assert name in known, name
        named = re.findall(r"\btest_\w+", row[4])
        assert named, row
        for name in named:
            assert f"def {name}(" in tests, name


def test_the_page_gives_the_figures_of_the_code() -> None:
    page = PAGE.read_text(encoding="utf-8")
    expected: Mapping[str, int] = {
        "pictures up to": IMAGE_LIMIT_BYTES >> 20,
        "a producer's queue": QUEUE_LIMIT_BYTES >> 20,
    }
    for what, mib in expected.items():
        (row,) = (line for line in page.splitlines() if what in line)
        assert f"{mib} MiB" in row
    assert f"{QUEUE_LIMIT_RECORDS:,}" in page
    assert f"{MOST_OBJECTS:,}" in page
