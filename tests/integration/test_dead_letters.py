"""`framefuse dead-letters` on the real broker: a broken model, its limit, the way back, and the books."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from framefuse.broker.home import RunningBroker
from framefuse.kafka import Admin, Producer
from framefuse.results.standing import Look
from schemas.records import Frame
from schemas.topics import FRAMES, SCHEMAS
from tests.parts.later_schemas import grown, written_with
from tests.parts.pipeline import Pipeline, a_pipeline, frames
from tests.unit.models import a_detector

pytestmark = [pytest.mark.broker, pytest.mark.slow]


@pytest.fixture
def pipeline(broker: RunningBroker, topic_prefix: str, tmp_path: Path) -> Iterator[Pipeline]:
    with a_pipeline(broker.bootstrap, topic_prefix, tmp_path, partitions=2) as pipeline:
        yield pipeline


def listed(pipeline: Pipeline, *arguments: str) -> list[dict[str, Any]]:
    result = pipeline.run("dead-letters", "list", "--json", *arguments)
    assert result.returncode == 0, result.stderr
    cases: list[dict[str, Any]] = json.loads(result.stdout)
    return cases


def errors_in_sight(pipeline: Pipeline) -> set[tuple[str, str, str]]:
    """What the screen of `framefuse watch` shows last: stage, error and stream."""
    look = Look(pipeline.kafka)
    found: set[tuple[str, str, str]] = set()
    give_up_s = time.monotonic() + 10
    while len(found) < 4 and time.monotonic() < give_up_s:
        found = {(one.stage, one.error, one.stream_id) for one in look.take().errors}
    look.close()
    return found


def a_broken_detector(folder: Path) -> str:
    """A model whose numbers are not finite."""
    return str(a_detector(folder / "broken.onnx", np.full((6, 2), np.nan, np.float32)))


def cut(frame: Frame) -> Frame:
    """A frame whose picture ends in the middle."""
    image = frame.image[: len(frame.image) // 2]
    return replace(frame, image=image, sha256=sha256(image).hexdigest())


def test_a_broken_model_stops_its_worker_and_a_replay_brings_every_frame_back(pipeline: Pipeline) -> None:
    model = a_broken_detector(pipeline.folder)
    pipeline.start("depth")
    pipeline.start("join")
    unlimited = pipeline.start("detection", "--dead-letter-limit", "0", FRAMEFUSE_DETECTION_MODEL=model)
    acknowledged = pipeline.publish(frames(170)[:20])
    pipeline.oracle.letters(at_least=acknowledged)
    unlimited.terminate()
    assert unlimited.wait(30) == 0

    acknowledged += pipeline.publish(frames(170)[20:])
    broken = pipeline.start("detection", FRAMEFUSE_DETECTION_MODEL=model)
    assert broken.wait(60) == 2

    assert any("detection failed on 100 records in a row" in text for text in pipeline.logs().values())
    drained = len(listed(pipeline, "--error", "ModelFailed"))
    assert 20 <= drained < 120

    pipeline.start("detection")
    before = pipeline.oracle.outcomes(at_least=acknowledged)
    ended = Counter(row["outcome"] for rows in before.values() for row in rows)
    assert ended == {"FUSED": acknowledged - drained, "DEAD_LETTER": drained}

    asked = pipeline.run("dead-letters", "replay", "--stage", "detection")
    assert asked.returncode == 2
    assert "--yes" in asked.stderr
    replayed = pipeline.run("dead-letters", "replay", "--stage", "detection", "--yes", "--wait")

    assert replayed.returncode == 0, replayed.stdout + replayed.stderr
    assert f"{drained} frames sent again" in replayed.stdout
    after = pipeline.oracle.outcomes(at_least=acknowledged + drained)
    rows = [row for rows in after.values() for row in rows]
    latest = {row["frame_id"]: row for row in sorted(rows, key=lambda row: row["attempt"])}
    assert len(rows) == acknowledged + drained
    assert Counter((row["outcome"], row["attempt"]) for row in latest.values()) == {
        ("FUSED", 0): acknowledged - drained,
        ("FUSED", 1): drained,
    }
    assert {(row["stream_id"], row["sequence"]) for row in rows} == {
        (frame.stream_id, frame.sequence) for frame in frames(acknowledged)
    }
    assert_books(pipeline, published=acknowledged, fused=acknowledged, dead_letter=0)
    assert listed(pipeline) == []
    assert len(listed(pipeline, "--all")) == drained

    once_more = pipeline.run("dead-letters", "replay", "--all", "--yes", "--wait")

    assert once_more.returncode == 0, once_more.stdout + once_more.stderr
    assert_books(pipeline, published=acknowledged, fused=acknowledged, dead_letter=0, duplicated=0)
    of_one = pipeline.run("audit", "--stream", "cam0", "--json")
    assert json.loads(of_one.stdout)["published"] == sum(f.stream_id == "cam0" for f in frames(acknowledged))


def assert_books(pipeline: Pipeline, **lines: int) -> None:
    """What the audit counts, by line; all of it balances."""
    audit = pipeline.run("audit", "--json")
    assert audit.returncode == 0, audit.stdout + audit.stderr
    told = json.loads(audit.stdout)
    assert {name: told[name] for name in lines} == lines
    assert told["in_flight"] == 0


def test_a_replay_that_is_killed_goes_on_where_it_was_and_no_frame_counts_twice(pipeline: Pipeline) -> None:
    pipeline.start("depth")
    pipeline.start("join")
    model = a_broken_detector(pipeline.folder)
    broken = pipeline.start("detection", FRAMEFUSE_DETECTION_MODEL=model)
    acknowledged = pipeline.publish(frames(40))
    pipeline.oracle.letters(at_least=acknowledged)
    broken.terminate()
    assert broken.wait(30) == 0

    def sent() -> int:
        return sum(Admin(pipeline.kafka).end_offsets(FRAMES.name(pipeline.kafka.prefix)).values())

    # Nobody works, so it holds back after the first frames.
    replay = pipeline.command("dead-letters", "replay", "--yes", log="replay")
    while sent() == acknowledged or len(listed(pipeline)) + sent() != 2 * acknowledged:
        assert replay.poll() is None
    replay.kill()
    replay.wait()
    assert acknowledged < sent() < 2 * acknowledged
    pipeline.start("detection")
    rest = pipeline.run("dead-letters", "replay", "--yes", "--wait")

    assert rest.returncode == 0, rest.stdout + rest.stderr
    pipeline.oracle.outcomes(at_least=2 * acknowledged)
    assert_books(pipeline, published=acknowledged, fused=acknowledged, dead_letter=0)


def test_what_is_bad_itself_is_one_case_a_frame_can_be_looked_at_and_fails_again(pipeline: Pipeline) -> None:
    good, other = frames(2)
    broken = cut(replace(other, live=True, freshness_ms=60_000))
    for stage in ("detection", "depth", "join"):
        pipeline.start(stage)
    acknowledged = pipeline.publish([good, broken, b"junk"])
    pipeline.oracle.outcomes(at_least=acknowledged)

    cases = {case["frame"]["stream_id"] if case["frame"] else None: case for case in listed(pipeline)}

    assert set(cases) == {other.stream_id, None}
    assert errors_in_sight(pipeline) == {
        ("detection", "UnreadableImage", other.stream_id),
        ("detection", "UndecodableRecord", "unknown"),
        ("depth", "UnreadableImage", other.stream_id),
        ("depth", "UndecodableRecord", "unknown"),
    }
    for case in cases.values():
        assert {letter["stage"] for letter in case["letters"]} == {"detection", "depth"}
    picture, junk = pipeline.folder / "broken.jpg", pipeline.folder / "junk.bin"
    shown = pipeline.run("dead-letters", "show", cases[other.stream_id]["letter"], "--save", str(picture))
    assert "UnreadableImage" in shown.stdout
    assert picture.read_bytes() == broken.image
    shown = pipeline.run("dead-letters", "show", cases[None]["letter"], "--save", str(junk))
    assert "not single-object Avro" in shown.stdout
    assert junk.read_bytes() == b"junk"

    dry = pipeline.run("dead-letters", "replay", "--dry-run")
    assert dry.returncode == 1
    assert "1 cannot be sent" in dry.stdout
    assert len(listed(pipeline)) == 2
    replayed = pipeline.run("dead-letters", "replay", "--wait", "--json")

    assert replayed.returncode == 1
    assert "1 dead_letter" in replayed.stderr
    sums = json.loads(replayed.stdout)
    assert (sums["cases"], sums["sent"], sums["outcomes"]) == (2, 1, {"dead_letter": 1})
    assert [one["letter"] for one in sums["cannot_be_sent"]] == [cases[None]["letter"]]
    assert (
        f"1 cannot be sent (letter {cases[None]['letter']}): 'framefuse dead-letters dism" in replayed.stderr
    )
    (again,) = [case for case in listed(pipeline) if case["frame"]]
    assert (again["attempt"], again["open"]) == (1, True)
    assert again["frame"]["live"] is False
    assert_books(pipeline, published=3, fused=1, dead_letter=2)


def test_a_value_whose_schema_came_too_late_is_sent_again(pipeline: Pipeline) -> None:
    (frame,) = frames(1)
    later = grown(Frame, "added_later", "int", 0)
    value = written_with(later, frame)
    for stage in ("detection", "depth", "join"):
        pipeline.start(stage)
    pipeline.publish([value])
    pipeline.oracle.outcomes(at_least=1)
    assert pipeline.run("dead-letters", "replay").returncode == 1

    producer = Producer(pipeline.kafka)
    producer.send(SCHEMAS.name(pipeline.kafka.prefix), later.text.encode(), key=later.fingerprint)
    assert producer.flush(20) == 0
    replayed = pipeline.run("dead-letters", "replay", "--wait")

    assert replayed.returncode == 0, replayed.stdout + replayed.stderr
    assert "1 fused" in replayed.stdout
    assert listed(pipeline) == []
