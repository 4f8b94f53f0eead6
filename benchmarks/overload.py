"""Live cameras at three times what both stages can do: how many frames are fused, how late, and in the books.

    python -m benchmarks.overload --load 3 --seconds 60

Starts its own broker. First both stages drain a backlog side by side; the faster one's rate is what the
cameras then exceed `--load` times, so that the slower one has more to bear. `fused_of_kept` is fused over
what the stage that kept less has kept (goal 0.9); `p95_ms` is from append to outcome of what was fused (goal:
no more than `budget_ms` and `one_batch_ms`); `balanced` is what `framefuse audit` says.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from benchmarks.pipeline import PARTITIONS, pictures, publish
from framefuse import broker
from framefuse.demo.children import Children
from framefuse.kafka import Admin, Producer, Reader, group_of
from framefuse.kafka.schema_topic import SchemaTopic
from framefuse.publishing.sources import Picture
from framefuse.settings import KafkaSettings
from processors.detection.settings import DetectionSettings
from schemas.codec import SchemaBook, decode, encode
from schemas.records import Depth, Detections, Fused, Outcome, Status
from schemas.topics import ALL, DEPTH, DETECTIONS, FRAMES, FUSED, Topic
from tests.unit.builders import a_frame

CAMERAS, BUDGET_MS = 8, 500
_WITHOUT_FIGURES = re.compile(r"[\d.]+")
STAGES: Mapping[str, Topic[Any]] = {"detection": DETECTIONS, "depth": DEPTH}


def rates(kafka: KafkaSettings, children: Children, backlog: int) -> dict[str, float]:
    """Frames/s of each stage while both work on a backlog; stops when the first has done it."""
    admin, topic = Admin(kafka), FRAMES.name(kafka.prefix)
    for stage in STAGES:
        children.start(f"{stage}-alone", ["run", stage])
    begun: dict[str, tuple[float, int]] = {}
    while True:
        time.sleep(0.05)
        children.check()
        done = {stage: sum(admin.group_offsets(group_of(kafka, stage), topic).values()) for stage in STAGES}
        now_s = time.monotonic()
        for stage, count in done.items():
            if count and stage not in begun and len(begun) < len(STAGES):
                begun[stage] = now_s, count
        if len(begun) == len(STAGES) and max(done.values()) >= backlog:
            break
    children.stop()
    return {stage: (done[stage] - count) / (now_s - since_s) for stage, (since_s, count) in begun.items()}


def film(kafka: KafkaSettings, shown: Sequence[Picture], fps: float, seconds: float) -> int:
    """All cameras together at so many frames a second; how many frames that were."""
    producer = Producer(kafka, live=True)
    topic, total, begun_s = FRAMES.name(kafka.prefix), int(fps * seconds), time.monotonic()
    digests = [sha256(picture.image).hexdigest() for picture in shown]
    for number in range(total):
        camera, sequence = number % CAMERAS, number // CAMERAS
        picture, digest = shown[number % len(shown)], digests[number % len(shown)]
        frame = a_frame(
            f"camera-{camera}",
            sequence,
            image=picture.image,
            width=picture.width,
            height=picture.height,
            live=True,
            freshness_ms=BUDGET_MS,
        )
        value = encode(replace(frame, sha256=digest))
        producer.send(topic, value, key=frame.stream_id.encode(), partition=camera % PARTITIONS)
        producer.poll(0)
        time.sleep(max(0.0, begun_s + (number + 1) / fps - time.monotonic()))
    producer.flush(30.0)
    return total


def rows(kafka: KafkaSettings, topic: Topic[Any], prefix: str = "camera-") -> list[Any]:
    """What a topic holds of the cameras."""
    book = SchemaBook()
    with Reader(kafka, prefetch=200) as reader:
        read = (decode(one.value, topic.record, book) for one in reader.everything(topic.name(kafka.prefix)))
        return [row for row in read if row.stream_id.startswith(prefix)]


def until_decided(kafka: KafkaSettings, count: int, patience_s: float = 30.0) -> list[Fused]:
    """All outcomes of the cameras."""
    give_up_s = time.monotonic() + patience_s
    while len(found := rows(kafka, FUSED)) < count and time.monotonic() < give_up_s:
        time.sleep(1)
    return found


def one_batch_ms(found: Sequence[Detections | Depth]) -> float:
    """What a full batch of the stage takes, by what a frame takes."""
    each_ms = [
        one.timing.preprocess_ms + one.timing.inference_ms + one.timing.postprocess_ms
        for one in found
        if one.timing is not None
    ]
    return DetectionSettings().batch_max * statistics.median(each_ms)


def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Everything, once."""
    running = broker.start(folder / "broker", port=0)
    kafka = KafkaSettings(bootstrap=running.bootstrap, prefix="bench")
    environment = {"FRAMEFUSE_BOOTSTRAP": running.bootstrap, "FRAMEFUSE_PREFIX": "bench"}
    try:
        Admin(kafka).create_topics(ALL, partitions=PARTITIONS)
        SchemaTopic(kafka)
        shown = pictures(arguments.size)
        publish(kafka, shown, arguments.backlog)
        with Children(folder / "logs", environment) as children:
            can = rates(kafka, children, arguments.backlog)
            for stage in (*STAGES, "join"):
                children.start(stage, ["run", stage])
            until_settled(kafka, arguments.backlog)
            fps = arguments.load * max(can.values())
            published = film(kafka, shown, fps, arguments.seconds)
            outcomes = until_decided(kafka, published)
            children.check()
        audit = [sys.executable, "-m", "framefuse", "audit", "--json"]
        told = subprocess.run(audit, env={**os.environ, **environment}, capture_output=True, check=False)
        return {"load": {stage: fps / rate for stage, rate in can.items()}} | report(
            {stage: rows(kafka, topic) for stage, topic in STAGES.items()},
            outcomes,
            published,
            json.loads(told.stdout),
        )
    finally:
        broker.stop(folder / "broker", graceful=False)


def until_settled(kafka: KafkaSettings, backlog: int) -> None:
    """Until the backlog is fused, so that the cameras find every stage idle."""
    while len(rows(kafka, FUSED, "bench")) < backlog:
        time.sleep(1)


def report(
    answers: Mapping[str, Sequence[Any]],
    outcomes: Sequence[Fused],
    published: int,
    audit: Mapping[str, Any],
) -> dict[str, Any]:
    """The figures."""
    kept = {stage: [one for one in found if one.status is Status.OK] for stage, found in answers.items()}
    fused = [one for one in outcomes if one.outcome is Outcome.FUSED]
    late_ms = sorted((one.fused_at - one.frame.appended_at).total_seconds() * 1e3 for one in fused)
    return {
        "published": published,
        "outcomes": Counter(one.outcome for one in outcomes),
        "kept": {stage: len(found) for stage, found in kept.items()},
        "fused_of_kept": len(fused) / min(map(len, kept.values())),
        "half": half_reasons(answers),
        "p50_ms": statistics.median(late_ms),
        "p95_ms": late_ms[int(0.95 * (len(late_ms) - 1))],
        "budget_ms": BUDGET_MS,
        "one_batch_ms": {stage: one_batch_ms(found) for stage, found in kept.items()},
        "balanced": audit["balanced"],
        "missing": audit["missing"],
    }


def half_reasons(answers: Mapping[str, Sequence[Any]]) -> Counter[str]:
    """Why a stage has no answer to frames that the other one has computed."""
    by_frame = {stage: {one.frame_id: one for one in found} for stage, found in answers.items()}
    one, other = by_frame
    return Counter(
        f"{missing}: {_WITHOUT_FIGURES.sub('…', by_frame[missing][frame_id].reason or '')}"
        for has, missing in ((one, other), (other, one))
        for frame_id, answer in by_frame[has].items()
        if answer.status is Status.OK and by_frame[missing][frame_id].status is not Status.OK
    )


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--load", type=float, default=3.0, help="times what the faster stage can do")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long the cameras film")
    parser.add_argument("--backlog", type=int, default=800, help="frames by which the rates are measured")
    parser.add_argument("--size", default="320x192", help="pixels of the pictures")
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(parser.parse_args(), Path(folder)), indent=1))  # noqa: T201


if __name__ == "__main__":
    main()
