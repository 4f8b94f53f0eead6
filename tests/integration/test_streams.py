"""`framefuse streams` on a real broker: what it writes, what it refuses, and that writers never cross."""

import json
import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner

from framefuse.broker.home import RunningBroker
from framefuse.cli.streams import app
from framefuse.errors import BadInput
from framefuse.kafka import Admin, Producer, Reader
from framefuse.settings import KafkaSettings
from framefuse.streams.credentials import LiteralCredential
from framefuse.streams.declaring import changes, declaration
from framefuse.streams.registry import StreamRegistry, declared_streams
from schemas.codec import encode
from schemas.topics import ALL, STREAMS

pytestmark = pytest.mark.broker


@pytest.fixture
def kafka(broker: RunningBroker, topic_prefix: str) -> KafkaSettings:
    settings = KafkaSettings(bootstrap=broker.bootstrap, prefix=topic_prefix)
    Admin(settings).create_topics(ALL, partitions=3)
    return settings


def run(kafka: KafkaSettings, *arguments: object) -> str:
    where = ["--bootstrap", str(kafka.bootstrap), "--prefix", kafka.prefix]
    found = CliRunner().invoke(app, [*map(str, arguments), *where], env={"COLUMNS": "120"})
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    assert found.exit_code == 0, found.output
    return found.stdout


def test_streams_are_added_changed_listed_and_removed(kafka: KafkaSettings, tmp_path: Path) -> None:
    source = "rtsp://viewer:${GATE}@10.0.0.11/live"
    assert "+ gate" in run(kafka, "add", "gate", source, "--fps", 10)
    assert "fps 10.0 → 5.0" in run(kafka, "add", "gate", source, "--fps", 5)
    again = json.loads(run(kafka, "add", "gate", source, "--fps", 5, "--json"))
    assert (again["added"], again["unchanged"]) == ([], ["gate"])
    config = tmp_path / "streams.yaml"
    config.write_text("streams:\n  - {id: yard, url: 'camera:0'}\n")
    assert "Would be: 1 added, 1 removed" in run(kafka, "apply", "--config", config, "--prune", "--dry-run")
    assert "not in the file and left: gate" in run(kafka, "apply", "--config", config)
    (gate, yard) = json.loads(run(kafka, "list", "--json"))
    assert gate["declared"] == {
        "url": source,
        "live": True,
        "fps": 5.0,
        "freshness_ms": None,
        "partition": None,
    }
    assert (yard["stream_id"], yard["state"]) == ("yard", None)
    assert "not published" in run(kafka, "list")
    assert "- gate" in run(kafka, "remove", "gate")
    assert set(declared_streams(kafka)) == {"yard"}


def test_what_is_refused_is_not_written(kafka: KafkaSettings, tmp_path: Path) -> None:
    with pytest.raises(LiteralCredential):
        run(kafka, "add", "gate", "rtsp://viewer:s3cr3t@10.0.0.11/live")
    with pytest.raises(BadInput, match="partitions 0 to 2"):
        run(kafka, "add", "gate", "camera:0", "--partition", 3)
    with pytest.raises(BadInput, match="expected ID and URL"):
        run(kafka, "add", "gate")
    run(kafka, "add", "gate", "camera:0")
    with pytest.raises(BadInput, match="did you mean 'gate'"):
        run(kafka, "remove", "gaet")
    with Reader(kafka) as reader:
        (record,) = reader.everything(STREAMS.name(kafka.prefix))
    assert record.key == b"gate"
    assert b"s3cr3t" not in (record.value or b"")


def test_writers_at_the_same_time_never_cross(kafka: KafkaSettings) -> None:
    def write(who: int) -> None:
        streams = [declaration(f"cam{number}", f"camera:{who}") for number in range(4)]
        for stream in (*streams, declaration(f"own{who}", "camera:0")):
            StreamRegistry(kafka).change(lambda there, stream=stream: changes(there, [stream], prune=False))  # type: ignore[misc]

    writers = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    found = declared_streams(kafka)
    assert set(found) == {"cam0", "cam1", "cam2", "cam3", "own0", "own1", "own2"}
    assert not [stream_id for stream_id, stream in found.items() if stream.again_on]
    assert len({stream.partition for stream in found.values()}) == 7


def test_a_copy_that_a_foreign_writer_left_is_cleared_away(kafka: KafkaSettings) -> None:
    registry, stream = StreamRegistry(kafka), declaration("gate", "camera:0")
    registry.change(lambda there: changes(there, [stream], prune=False))
    at = declared_streams(kafka)["gate"].partition
    producer = Producer(kafka)
    for number in (at + 1, at + 2):
        topic = STREAMS.name(kafka.prefix)
        producer.send(topic, encode(declaration("gate", "camera:1")), key=b"gate", partition=number % 12)
        producer.flush(10.0)
    assert len(declared_streams(kafka)["gate"].again_on) == 2
    registry.change(lambda there: changes(there, [stream], prune=False))
    assert declared_streams(kafka)["gate"].again_on == ()
    assert declared_streams(kafka)["gate"].stream == stream
