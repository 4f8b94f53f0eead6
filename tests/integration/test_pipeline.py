"""The whole pipeline on a real broker: real processes, real kills; exactly one outcome a frame."""

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from confluent_kafka.admin import AdminClient

from framefuse.broker.home import RunningBroker
from framefuse.kafka import Admin, group_of
from schemas.codec import encode
from schemas.records import Encoding, Frame
from schemas.topics import FRAMES
from tests.parts.pipeline import Pipeline, a_picture, a_pipeline, assert_exactly_one_outcome, frames

pytestmark = pytest.mark.broker


@pytest.fixture
def pipeline(broker: RunningBroker, topic_prefix: str, tmp_path: Path) -> Iterator[Pipeline]:
    with a_pipeline(broker.bootstrap, topic_prefix, tmp_path) as pipeline:
        yield pipeline


def start_all(pipeline: Pipeline) -> None:
    pipeline.start("detection", "--workers", "2")
    pipeline.start("depth", "--workers", "2")
    pipeline.start("join")


def test_every_frame_is_fused_once_and_stored_once(pipeline: Pipeline) -> None:
    start_all(pipeline)
    pipeline.start("object-store")

    acknowledged = pipeline.publish(frames(200))
    outcomes = pipeline.oracle.outcomes(at_least=acknowledged)
    pipeline.stop()

    assert_exactly_one_outcome(outcomes, acknowledged)
    rows = [row for partition in outcomes.values() for row in partition]
    assert {row["outcome"] for row in rows} == {"FUSED"}
    (found,) = rows[0]["objects"]
    assert found["box"] == {"x_min": 22.0, "y_min": 11.0, "x_max": 42.0, "y_max": 21.0}
    assert found["depth"]["valid_ratio"] == 1.0
    stored = stored_frames(pipeline.folder / "results")
    assert len(stored) == len(set(stored)) == 200
    results = pipeline.folder / "results"
    audit = pipeline.run("audit", "--store", str(results), "--json")
    assert audit.returncode == 0, audit.stdout + audit.stderr
    assert json.loads(audit.stdout)["stored"] == 200
    file = next(results.rglob("*.parquet"))
    rows_of_file = pq.ParquetFile(file).read()
    pq.write_table(pa.concat_tables([rows_of_file.slice(0, 1), rows_of_file.slice(2)]), file)
    audit = pipeline.run("audit", "--store", str(results), "--json")
    assert audit.returncode == 1
    assert json.loads(audit.stdout)["not_stored"] == 1


def stored_frames(results: Path) -> list[tuple[int, int]]:
    """Partition and offset of each row."""
    files = f"{results}/**/*.parquet"
    rows = duckdb.connect().execute("select frame.partition, frame.offset from read_parquet($1)", [files])
    return [(int(partition), int(offset)) for partition, offset in rows.fetchall()]


def test_workers_killed_in_the_middle_lose_no_frame_and_repeat_none(pipeline: Pipeline) -> None:
    rng = random.Random(7)
    running = {
        name: pipeline.start(stage)
        for name, stage in {
            "detection a": "detection",
            "detection b": "detection",
            "depth a": "depth",
            "join a": "join",
        }.items()
    }
    acknowledged = 0
    for _ in range(5):
        acknowledged += pipeline.publish(frames(80), pace_s=0.005)
        name = rng.choice(sorted(running))
        running[name].send_signal(signal.SIGKILL)
        running[name].wait()
        running[name] = pipeline.start(name.split()[0])

    outcomes = pipeline.oracle.outcomes(at_least=acknowledged, patience_s=90.0)

    assert acknowledged == 400
    assert_exactly_one_outcome(outcomes, acknowledged)
    assert Counter(row["outcome"] for rows in outcomes.values() for row in rows) == {"FUSED": 400}


def test_a_record_that_cannot_work_ends_as_a_dead_letter_and_the_rest_goes_on(pipeline: Pipeline) -> None:
    (good,) = frames(1)
    bad = bad_records(good)
    start_all(pipeline)

    acknowledged = pipeline.publish([good, *bad.values(), good])
    outcomes = pipeline.oracle.outcomes(at_least=acknowledged)
    letters = pipeline.oracle.letters(at_least=2 * len(bad))

    assert_exactly_one_outcome(outcomes, acknowledged)
    ended = Counter(row["outcome"] for rows in outcomes.values() for row in rows)
    assert ended == {"DEAD_LETTER": len(bad), "FUSED": 2}
    kept = Counter(letter["value"] for letter in letters)
    for name, value in bad.items():
        assert kept[value] == 2, f"{name}: one letter from each stage, byte for byte"
    assert {letter["stage"] for letter in letters} == {"detection", "depth"}
    audit = pipeline.run("audit")
    assert audit.returncode == 0, audit.stdout


def bad_records(good: Frame) -> dict[str, bytes]:
    """Values that no stage can use, by what is wrong with them."""
    cut = good.image[: len(good.image) // 2]
    bomb = (
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
        + (10_000).to_bytes(4, "big") * 2
        + b"\x08\x02\x00\x00\x00"
        + bytes(4)
    )
    value = encode(good)

    def with_image(image: bytes, **more: object) -> bytes:
        return encode(replace(good, image=image, sha256=sha256(image).hexdigest(), **more))  # type: ignore[arg-type]

    return {
        "junk": b"\x00\x01\x02 not avro",
        "unknown fingerprint": b"\xc3\x01" + b"\x42" * 8 + value[10:],
        "cut off": value[: len(value) // 2],
        "a byte too many": value + b"\x00",
        "empty picture": with_image(b""),
        "cut picture": with_image(cut),
        "bomb": with_image(bomb, encoding=Encoding.PNG, width=10_000, height=10_000),
        "wrong sha256": encode(replace(good, sha256="0" * 64)),
        "other size than it says": encode(replace(good, width=good.width + 1)),
        "other encoding than it says": encode(replace(good, encoding=Encoding.PNG)),
    }


def test_a_live_frame_that_is_too_old_expires_before_it_is_computed(pipeline: Pipeline) -> None:
    fresh = frames(2)
    stale = [replace(frame, live=True, freshness_ms=1) for frame in frames(2)]

    acknowledged = pipeline.publish([*fresh, *stale])
    time.sleep(0.1)
    start_all(pipeline)
    outcomes = pipeline.oracle.outcomes(at_least=acknowledged)

    assert_exactly_one_outcome(outcomes, acknowledged)
    ended = Counter(row["outcome"] for rows in outcomes.values() for row in rows)
    assert ended == {"FUSED": 2, "EXPIRED": 2}


def test_topics_of_different_partition_counts_stop_a_worker_with_the_way_to_mend_it(
    broker: RunningBroker, topic_prefix: str, tmp_path: Path
) -> None:
    from framefuse.settings import KafkaSettings
    from schemas.topics import ALL, DEPTH

    kafka = KafkaSettings(bootstrap=broker.bootstrap, prefix=topic_prefix)
    Admin(kafka).create_topics([DEPTH], partitions=2)
    Admin(kafka).create_topics([topic for topic in ALL if topic is not DEPTH], partitions=4)
    with a_pipeline(broker.bootstrap, topic_prefix, tmp_path) as pipeline:
        ended = pipeline.run("run", "detection")
        levelled = pipeline.run("topics", "create")

    assert ended.returncode == 2
    assert "depth has 2 partitions" in ended.stderr
    assert "'framefuse topics create' brings them to 4" in ended.stderr
    assert levelled.returncode == 0
    assert Admin(kafka).check_partitions() == 4


def test_a_worker_without_topics_says_which_command_makes_them(pipeline: Pipeline) -> None:
    ended = pipeline.run("run", "join", "--prefix", "nobody")

    assert ended.returncode == 2
    assert "framefuse topics create --prefix nobody" in ended.stderr


def test_sigterm_drains_commits_and_leaves_the_group(pipeline: Pipeline) -> None:
    detection = pipeline.start("detection")
    pipeline.publish(frames(40))
    pipeline.oracle.read("detections", at_least=40)

    detection.send_signal(signal.SIGTERM)

    assert detection.wait(15) == 0
    from framefuse.kafka import Admin, group_of

    admin = Admin(pipeline.kafka)
    group = group_of(pipeline.kafka, "detection")
    assert admin.group_offsets(group, f"{pipeline.kafka.prefix}.frames") == {0: 10, 1: 10, 2: 10, 3: 10}
    assert admin.group_members(group) == 0


def test_the_picture_of_another_frame_is_never_taken(pipeline: Pipeline) -> None:
    (one,) = frames(1)
    other = a_picture(seed=1)
    start_all(pipeline)

    pipeline.publish([replace(one, image=other, sha256=sha256(other).hexdigest()), one])
    outcomes = pipeline.oracle.outcomes(at_least=2)

    first, second = outcomes[0][0], outcomes[1][0]
    assert first["map"]["data"] != second["map"]["data"]


def test_a_second_ctrl_c_ends_a_worker_that_is_still_draining() -> None:
    program = (
        "import time; from framefuse.cli.run import stop_on_signals\n"
        "stop = stop_on_signals(); print('up', flush=True)\n"
        "while True: time.sleep(0.05); stop.is_set() and print('draining', flush=True)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "draining\n"
        process.send_signal(signal.SIGINT)

        assert process.wait(10) == 130


def test_a_join_whose_group_was_deleted_decides_no_frame_again(pipeline: Pipeline) -> None:
    start_all(pipeline)
    first = pipeline.publish(frames(40))
    pipeline.oracle.outcomes(at_least=first)
    pipeline.stop()
    Admin(pipeline.kafka).delete_groups([group_of(pipeline.kafka, "join")])

    start_all(pipeline)
    second = pipeline.publish(frames(8))
    assert_exactly_one_outcome(pipeline.oracle.outcomes(at_least=first + second), first + second)


def test_frames_made_anew_stop_what_has_worked_on_the_old_ones(pipeline: Pipeline) -> None:
    """The join would take each new frame for one that was decided long ago, and drop it."""
    start_all(pipeline)
    first = pipeline.publish(frames(8))
    pipeline.oracle.outcomes(at_least=first)
    time.sleep(2)  # the commit of an idle join
    pipeline.stop()
    admin = AdminClient({"bootstrap.servers": pipeline.oracle.bootstrap})
    topic = f"{pipeline.oracle.prefix}.frames"
    admin.delete_topics([topic])[topic].result(10)
    Admin(pipeline.kafka).create_topics([FRAMES], partitions=4)

    again = pipeline.run("run", "join")

    assert again.returncode == 2
    assert "frames was made anew" in again.stderr
    assert "use another --prefix" in again.stderr
