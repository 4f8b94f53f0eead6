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
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.pipeline import frame_of, pictures, publish, send
from benchmarks.site import PARTITIONS, a_broker, environment, parser_of, print_measured, quantiles
from framefuse.demo.children import Children
from framefuse.kafka import Admin, Reader, group_of
from framefuse.publishing.sources import Picture
from framefuse.settings import KafkaSettings
from processors.detection.settings import DetectionSettings
from schemas.codec import SchemaBook, decode
from schemas.records import Depth, Derived, Detections, Frame, Fused, Outcome, Status
from schemas.topics import DEPTH, DETECTIONS, FRAMES, FUSED, Topic

CAMERAS, BUDGET_MS = 8, 500
D = TypeVar("D", bound=Derived)
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
            if count and stage not in begun:
                begun[stage] = now_s, count
        if len(begun) == len(STAGES) and max(done.values()) >= backlog:
            break
    children.stop()
    return {stage: (done[stage] - count) / (now_s - since_s) for stage, (since_s, count) in begun.items()}


def film(shown: Sequence[Picture], total: int) -> Iterator[tuple[Frame, int]]:
    """So many frames, of all cameras in turn, and the partition of each."""
    for number in range(total):
        camera, sequence = number % CAMERAS, number // CAMERAS
        picture = shown[number % len(shown)]
        yield frame_of(picture, f"camera-{camera}", sequence, budget_ms=BUDGET_MS), camera % PARTITIONS


def rows(kafka: KafkaSettings, topic: Topic[Any]) -> list[Any]:
    """What a topic holds."""
    book = SchemaBook()
    with Reader(kafka, prefetch=200) as reader:
        return [decode(one.value, topic.record, book) for one in reader.everything(topic.name(kafka.prefix))]


def until_decided(kafka: KafkaSettings, count: int, patience_s: float = 60.0) -> list[Fused]:
    """All outcomes, once there are so many."""
    give_up_s = time.monotonic() + patience_s
    while len(found := rows(kafka, FUSED)) < count and time.monotonic() < give_up_s:
        time.sleep(1)
    return found


def of_cameras(found: Sequence[D]) -> list[D]:
    """Without those of the backlog, which does not expire."""
    return [one for one in found if one.live]


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
    with a_broker(folder) as kafka:
        shown = pictures(arguments.size)
        publish(kafka, shown, arguments.backlog)
        with Children(folder / "logs", environment(kafka)) as children:
            can = rates(kafka, children, arguments.backlog)
            for stage in (*STAGES, "join"):
                children.start(stage, ["run", stage])
            until_decided(kafka, arguments.backlog)  # so that the cameras find every stage idle
            fps = arguments.load * max(can.values())
            published = int(fps * arguments.seconds)
            send(kafka, film(shown, published), fps=fps)
            outcomes = until_decided(kafka, arguments.backlog + published)
            children.check()
        audit = [sys.executable, "-m", "framefuse", "audit", "--json"]
        told = subprocess.run(
            audit, env={**os.environ, **environment(kafka)}, capture_output=True, check=False
        )
        return {"load": {stage: fps / rate for stage, rate in can.items()}} | report(
            {stage: of_cameras(rows(kafka, topic)) for stage, topic in STAGES.items()},
            of_cameras(outcomes),
            published,
            json.loads(told.stdout),
        )


def report(
    answers: Mapping[str, Sequence[Any]],
    outcomes: Sequence[Fused],
    published: int,
    audit: Mapping[str, Any],
) -> dict[str, Any]:
    """The figures."""
    kept = {stage: [one for one in found if one.status is Status.OK] for stage, found in answers.items()}
    fused = [one for one in outcomes if one.outcome is Outcome.FUSED]
    late_ms = [(one.fused_at - one.frame.appended_at).total_seconds() * 1e3 for one in fused]
    return {
        "published": published,
        "outcomes": Counter(one.outcome for one in outcomes),
        "kept": {stage: len(found) for stage, found in kept.items()},
        "fused_of_kept": len(fused) / min(map(len, kept.values())),
        "half": half_reasons(answers),
        **quantiles(late_ms),
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
    parser = parser_of(__doc__)
    parser.add_argument("--load", type=float, default=3.0, help="times what the faster stage can do")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long the cameras film")
    parser.add_argument("--backlog", type=int, default=800, help="frames by which the rates are measured")
    parser.add_argument("--size", default="320x192", help="pixels of the pictures")
    print_measured(measure, parser.parse_args())


if __name__ == "__main__":
    main()
