"""Publishing to a real broker: what arrives, what waits, what is refused, and what the command says."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from framefuse import broker as embedded
from framefuse.broker.home import RunningBroker
from framefuse.cli.publish import publish
from framefuse.client import FramePublisher, NotPublished, PublisherClosed
from framefuse.errors import BadInput, BrokerUnavailable, Stop, UnreadableImage
from framefuse.kafka import Admin, GroupConsumer, GroupOffsets, Message, Producer, Reader, group_of
from framefuse.pictures.video import VideoWriter
from framefuse.publishing.decisions import partition_of
from framefuse.publishing.publication import Publication, PublishOptions, named
from framefuse.publishing.sources import SourceOptions
from framefuse.settings import KafkaSettings
from framefuse.types import Image, Partition, Record, origin_of
from producers.files import open_sources
from schemas.codec import SchemaBook, decode, encode
from schemas.records import Frame, Fused, Outcome, State, StreamState
from schemas.topics import ALL, FRAMES, FUSED, STREAM_STATES

pytestmark = pytest.mark.broker
PARTITIONS = 3
BOOK = SchemaBook()


@pytest.fixture
def kafka(broker: RunningBroker, topic_prefix: str) -> KafkaSettings:
    settings = KafkaSettings(bootstrap=broker.bootstrap, prefix=topic_prefix)
    Admin(settings).create_topics(ALL, partitions=PARTITIONS)
    return settings


def noise(width: int = 64, height: int = 48, *, seed: int = 3) -> Image:
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)


def images(folder: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        assert cv2.imwrite(str(folder / f"{number}.png"), noise(seed=number))
    return folder


def read_all(kafka: KafkaSettings, topic: str, *, records: int, timeout_s: float = 20.0) -> list[Message]:
    found: list[Message] = []
    with Reader(kafka) as reader:
        reader.assign({partition: low for partition, (low, _) in reader.bounds(topic).items()})
        until_s = time.monotonic() + timeout_s
        while len(found) < records and time.monotonic() < until_s:
            found += reader.poll(0.2)
        return found + list(reader.poll(0.3))


def frames_of(kafka: KafkaSettings, records: int) -> dict[str, list[Record[Frame]]]:
    """By stream id, in order of the log."""
    streams: dict[str, list[Record[Frame]]] = {}
    for message in read_all(kafka, FRAMES.name(kafka.prefix), records=records):
        frame = decode(message.value, Frame, BOOK)
        assert message.key == frame.stream_id.encode()
        streams.setdefault(frame.stream_id, []).append(
            Record(frame, message.topic, message.partition, message.offset, message.timestamp)
        )
    return streams


@contextmanager
def workers(kafka: KafkaSettings, *, frame_s: float = 0.0, stray: bytes | None = None) -> Iterator[list[int]]:
    """A worker of each watched group; depth also writes what the join would, after a `stray` record each.

    Yields the lags it saw.
    """
    stop, lags = threading.Event(), list[int]()
    threads = [
        threading.Thread(
            target=_work, args=(kafka, stage, stop, lags), kwargs={"frame_s": frame_s, "stray": stray}
        )
        for stage in ("detection", "depth")
    ]
    for thread in threads:
        thread.start()
    try:
        for stage in ("detection", "depth"):
            with GroupOffsets(kafka, group_of(kafka, stage)) as group:
                while len(group.committed(FRAMES.name(kafka.prefix), range(PARTITIONS))) < PARTITIONS:
                    time.sleep(0.05)
        yield lags
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _work(
    kafka: KafkaSettings,
    stage: str,
    stop: threading.Event,
    lags: list[int],
    *,
    frame_s: float,
    stray: bytes | None,
) -> None:
    topic, admin, producer = FRAMES.name(kafka.prefix), Admin(kafka), Producer(kafka, live=True)
    consumer = GroupConsumer(
        kafka,
        group_of(kafka, stage),
        [topic],
        client_id=f"test-{stage}",
        on_assigned=lambda started: None,
        on_revoked=lambda gone: None,
        on_overtaken=lambda gap: None,
    )
    while not stop.is_set():
        for message in consumer.poll(0.05, 4):
            time.sleep(frame_s)
            if stage == "depth":
                lags.append(admin.end_offsets(topic)[message.partition] - message.offset)
                for value in (stray, encode(_fused(message))):
                    if value is not None:
                        producer.send(
                            FUSED.name(kafka.prefix), value, key=message.key, partition=message.partition
                        )
            consumer.commit({Partition(topic, message.partition): message.offset + 1})
    producer.close()
    consumer.close()


def _fused(message: Message) -> Fused:
    frame = decode(message.value, Frame, BOOK)
    record = Record(frame, message.topic, message.partition, message.offset, message.timestamp)
    return Fused(**origin_of(record).head(), outcome=Outcome.PARTIAL, fused_at=datetime.now(UTC))


def run(kafka: KafkaSettings, *arguments: object) -> tuple[int, str, str]:
    app = typer.Typer()
    app.command()(publish)
    where = ["--bootstrap", str(kafka.bootstrap), "--prefix", kafka.prefix]
    found = CliRunner().invoke(app, [*map(str, arguments), *where], env={"COLUMNS": "200"})
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    return found.exit_code, found.stdout, found.stderr


# ── What arrives ──


def test_a_folder_arrives_byte_for_byte_in_order(kafka: KafkaSettings, tmp_path: Path) -> None:
    folder = images(tmp_path / "gate", 12)
    code, out, _ = run(kafka, folder)
    assert (code, "12 published" in out) == (0, True)
    (stream, records), *others = frames_of(kafka, 12).items()
    assert (stream, others) == ("gate", [])
    assert [record.value.sequence for record in records] == list(range(12))
    assert [record.value.image for record in records] == [
        (folder / f"{number}.png").read_bytes() for number in range(12)
    ]
    first = records[0].value
    assert (first.live, first.freshness_ms, first.attempt, first.width, first.height) == (
        False,
        None,
        0,
        64,
        48,
    )
    assert {record.partition for record in records} == {partition_of(b"gate", PARTITIONS)}
    assert len({record.value.run_id for record in records}) == 1


def test_several_sources_are_published_at_the_same_time(kafka: KafkaSettings, tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "yard.mp4", fps=10.0) as writer:
        for number in range(20):
            writer.write(noise(seed=number))
    code, out, _ = run(kafka, tmp_path / "yard.mp4", images(tmp_path / "gate", 20), "--realtime", "--json")
    assert code == 0
    sums = {line["stream_id"]: line for line in map(json.loads, out.splitlines())}
    assert {stream: line["published"] for stream, line in sums.items()} == {"yard": 20, "gate": 20}
    assert all(1.5 < line["seconds"] < 6.0 for line in sums.values())
    streams = frames_of(kafka, 40)
    assert all([r.value.sequence for r in records] == list(range(20)) for records in streams.values())
    begun = [records[0].timestamp for records in streams.values()]
    ended = [records[-1].timestamp for records in streams.values()]
    assert max(begun) < min(ended)


def test_partition_by_frame_spreads_one_stream(kafka: KafkaSettings, tmp_path: Path) -> None:
    run(kafka, images(tmp_path / "gate", 12), "--partition-by", "frame")
    records = frames_of(kafka, 12)["gate"]
    assert sorted(record.value.sequence for record in records) == list(range(12))
    counts = [sum(record.partition == number for record in records) for number in range(PARTITIONS)]
    assert counts == [4, 4, 4]


def test_auto_places_streams_on_empty_partitions(kafka: KafkaSettings, tmp_path: Path) -> None:
    folders = [images(tmp_path / name, 3) for name in ("a", "b", "c")]
    assert run(kafka, *folders, "--partition", "auto")[0] == 0
    streams = frames_of(kafka, 9)
    assert len({records[0].partition for records in streams.values()}) == PARTITIONS


def test_a_partition_that_is_not_there_is_refused(kafka: KafkaSettings, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="partitions 0 to 2"):
        run(kafka, images(tmp_path / "gate", 1), "--partition", 3)


def test_a_publisher_says_how_its_stream_is(kafka: KafkaSettings, tmp_path: Path) -> None:
    run(kafka, images(tmp_path / "gate", 5))
    messages = read_all(kafka, STREAM_STATES.name(kafka.prefix), records=2)
    states = [decode(message.value, StreamState, BOOK) for message in messages]
    assert [state.state for state in states] == [State.RUNNING, State.ENDED]
    assert (states[1].published, states[1].last_sequence, states[1].ended) == (5, 4, "end of the source")


# ── The Python API ──


def test_a_ticket_knows_where_its_frame_is(kafka: KafkaSettings, tmp_path: Path) -> None:
    assert cv2.imwrite(str(tmp_path / "a.png"), noise())
    data = (tmp_path / "a.png").read_bytes()
    with FramePublisher("gate", settings=kafka) as publisher:
        tickets = [publisher.publish(image) for image in (noise(), data, tmp_path / "a.png")]
        places = [ticket.wait(10.0) for ticket in tickets]
    records = frames_of(kafka, 3)["gate"]
    assert places == [record.ref() for record in records]
    assert [record.value.frame_id for record in records] == [ticket.frame_id for ticket in tickets]
    assert [record.value.encoding.value for record in records] == ["JPEG", "PNG", "PNG"]
    assert records[1].value.image == data
    assert all(0.0 <= record.value.capture_to_send_ms < 5000 for record in records)


def test_a_picture_that_is_too_large_is_refused_counted_and_the_rest_goes_on(kafka: KafkaSettings) -> None:
    with FramePublisher("gate", settings=kafka) as publisher:
        publisher.publish(noise())
        with pytest.raises(UnreadableImage, match=r"5\.\d MiB, at most 4 MiB"):
            publisher.publish(cv2.imencode(".png", noise(1400, 1280))[1].tobytes())
        with pytest.raises(UnreadableImage, match="float32, expected H×W×3 uint8"):
            publisher.publish(noise().astype(np.float32))
        publisher.publish(noise())
    assert (publisher.sums.published, publisher.sums.rejected) == (2, 2)
    assert [record.value.sequence for record in frames_of(kafka, 2)["gate"]] == [0, 1]


def test_a_closed_publisher_takes_nothing(kafka: KafkaSettings) -> None:
    publisher = FramePublisher("gate", settings=kafka)
    publisher.close()
    publisher.close()
    with pytest.raises(PublisherClosed, match="gate is closed"):
        publisher.publish(noise())


def test_live_publishing_never_waits_and_drops_the_oldest(
    kafka: KafkaSettings, broker: RunningBroker
) -> None:
    with FramePublisher("gate", settings=kafka, live=True) as publisher:
        publisher.publish(noise()).wait(10.0)
        os.kill(broker.pid, signal.SIGSTOP)
        try:
            began_s = time.monotonic()
            tickets = [publisher.publish(noise()) for _ in range(100)]
            took_s = time.monotonic() - began_s
        finally:
            os.kill(broker.pid, signal.SIGCONT)
        publisher.flush(20.0)
        sums = publisher.sums
    assert took_s < 2.0
    assert sums.dropped > 70
    assert sums.published + sums.dropped == 101
    with pytest.raises(NotPublished, match="dropped for newer"):
        tickets[30].wait(0.0)
    records = frames_of(kafka, sums.published)["gate"]
    sequences = [record.value.sequence for record in records]
    assert sequences == sorted(set(sequences))
    assert sequences[-1] == 100
    assert {(record.value.live, record.value.freshness_ms) for record in records} == {(True, 500)}


# ── Holding back, waiting ──


def test_without_workers_it_stops_and_says_which_to_run(kafka: KafkaSettings, tmp_path: Path) -> None:
    sources = named(open_sources([str(images(tmp_path / "gate", 20))], SourceOptions(loop=True)), [])
    with Publication(kafka, sources, PublishOptions(limit=100)) as publication:
        assert not publication.wait(3.0)
        (progress,) = publication.progress()
        assert progress.sums.published == 64
        assert "'framefuse run detection --bootstrap" in progress.waiting_for
        assert f"--prefix {kafka.prefix}' and 'framefuse run depth --bootstrap" in progress.waiting_for
        publication.interrupt()
        assert publication.wait(5.0)
    (progress,) = publication.progress()
    assert (progress.sums.published, progress.ended) == (64, True)


def test_no_limit_needs_no_workers(kafka: KafkaSettings, tmp_path: Path) -> None:
    code, out, _ = run(
        kafka, images(tmp_path / "gate", 10), "--loop", "--limit", 150, "--in-flight", 0, "--json"
    )
    assert (code, json.loads(out)["published"]) == (0, 150)


def test_a_file_keeps_slow_workers_busy_without_flooding_them(kafka: KafkaSettings, tmp_path: Path) -> None:
    folder = images(tmp_path / "gate", 10)
    with workers(kafka, frame_s=0.03) as lags:
        began_s = time.monotonic()
        code, out, _ = run(kafka, folder, "--loop", "--limit", 150, "--wait", "--json")
        took_s = time.monotonic() - began_s
    assert code == 0
    assert json.loads(out)["outcomes"] == {"partial": 150}
    assert max(lags) <= 20
    assert took_s < 25.0


def test_waiting_ends_when_every_frame_has_an_outcome(kafka: KafkaSettings, tmp_path: Path) -> None:
    with workers(kafka):
        code, out, _ = run(kafka, images(tmp_path / "a", 9), images(tmp_path / "b", 7), "--wait")
    assert code == 0
    assert "9 partial" in out
    assert "7 partial" in out


def test_a_record_that_is_no_outcome_ends_no_publication(kafka: KafkaSettings, tmp_path: Path) -> None:
    with workers(kafka, stray=b"not Avro"):
        code, out, _ = run(kafka, images(tmp_path / "gate", 9), "--loop", "--limit", 60, "--wait", "--json")
    assert code == 0
    assert json.loads(out)["outcomes"] == {"partial": 60}


def test_ctrl_c_delivers_what_was_sent_and_prints_the_sums(kafka: KafkaSettings, tmp_path: Path) -> None:
    folder = images(tmp_path / "gate", 5)
    where = ["--bootstrap", str(kafka.bootstrap), "--prefix", kafka.prefix]
    main = "import typer; from framefuse.cli.publish import publish; typer.run(publish)"
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            main,
            str(folder),
            "--loop",
            "--realtime",
            "--fps",
            "20",
            "--wait",
            "--json",
            *where,
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    ends: Mapping[int, int] = {}
    while sum(ends.values()) < 5:
        time.sleep(0.1)
        ends = Admin(kafka).end_offsets(FRAMES.name(kafka.prefix))
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 130
    sums = json.loads(out)
    assert sums["not_acknowledged"] == 0
    assert sums["outcomes"] == {"in flight": sums["published"]}  # nothing is known to be lost
    assert len(frames_of(kafka, sums["published"])["gate"]) == sums["published"] >= 5


@pytest.mark.slow
def test_a_broker_that_goes_away_and_comes_back_loses_and_doubles_nothing(
    tmp_path: Path, topic_prefix: str
) -> None:
    data_dir, folder = tmp_path / "broker", images(tmp_path / "gate", 10)
    running = embedded.start(data_dir, port=0)
    kafka = KafkaSettings(bootstrap=running.bootstrap, prefix=topic_prefix)
    try:
        Admin(kafka).create_topics(ALL, partitions=PARTITIONS)
        sources = named(open_sources([str(folder)], SourceOptions(loop=True, fps=50.0)), [])
        options = PublishOptions(limit=400, realtime=True, in_flight=0)
        with Publication(kafka, sources, options) as publication:
            while publication.progress()[0].sums.published < 50:
                publication.wait(0.05)
            embedded.stop(data_dir, graceful=False)
            while "is it up? 'framefuse broker status'" not in publication.progress()[0].trouble:
                publication.wait(0.1)
            embedded.start(data_dir, port=running.port)
            assert publication.wait(60.0)
            (progress,) = publication.progress()
        assert progress.complete
        assert not progress.trouble
        records = frames_of(kafka, 400)["gate"]
        assert [record.value.sequence for record in records] == list(range(400))
    finally:
        embedded.stop(data_dir, graceful=False)


# ── Bad input ──


def test_broken_files_are_counted_named_and_the_rest_goes_on(kafka: KafkaSettings, tmp_path: Path) -> None:
    folder = images(tmp_path / "gate", 3)
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no jpeg at all")
    (folder / "empty.png").write_bytes(b"")
    code, out, err = run(kafka, folder, "--json")
    sums = json.loads(out)
    assert (code, sums["published"], sums["rejected"], sums["complete"]) == (1, 3, 2, False)
    assert "broken.jpg" in err
    assert "empty.png: the picture has zero bytes" in err
    assert len(frames_of(kafka, 3)["gate"]) == 3


def test_of_a_truncated_video_is_published_what_decodes(kafka: KafkaSettings, tmp_path: Path) -> None:
    path = tmp_path / "gate.mp4"
    with VideoWriter(path, fps=10.0) as writer:
        for number in range(40):
            writer.write(noise(seed=number))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    code, out, err = run(kafka, path, "--json")
    assert code == 1
    assert "cut off after" in err
    assert len(frames_of(kafka, 5)["gate"]) == json.loads(out)["published"] > 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.mp4"], "no such file or folder"),
        (["synthetic:?seconds=1", "--stream", "a/b"], "try 'a-b'"),
        (["gopher:1"], "no source has the scheme"),
    ],
)
def test_what_cannot_be_published_is_refused_before_anything_is_sent(
    kafka: KafkaSettings, arguments: Sequence[str], message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        run(kafka, *arguments)
    assert sum(Admin(kafka).end_offsets(FRAMES.name(kafka.prefix)).values()) == 0


def test_without_a_broker_it_says_how_to_get_one(tmp_path: Path) -> None:
    nobody = KafkaSettings(bootstrap="127.0.0.1:1", prefix="x")
    with pytest.raises(BrokerUnavailable, match="framefuse broker"):
        run(nobody, images(tmp_path / "gate", 1))


def test_without_topics_it_says_how_to_make_them(broker: RunningBroker, topic_prefix: str) -> None:
    bare = KafkaSettings(bootstrap=broker.bootstrap, prefix=topic_prefix)
    mends = f"run 'framefuse topics create --bootstrap {broker.bootstrap} --prefix {topic_prefix}'"
    with pytest.raises(Stop, match=mends):
        FramePublisher("gate", settings=bare)
