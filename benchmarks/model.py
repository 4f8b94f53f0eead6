"""One stage beside its bare model, on any provider: frames/s with the best batch, and p50.

    python -m benchmarks.model --stage detection --model yolo11n.onnx --provider cuda --batch-max 16

1. Bare: ONNX Runtime alone, on the input that the stage makes of a picture, in memory of the host, with every
   size of batch and one or more callers; the most pictures/s, and p50 of one picture with one caller.
2. Worker: a backlog on a broker of its own, drained by one `framefuse run`: fetch, decode, model, write.
3. Half load: frames come at half of that rate; p50 from append until the result can be read, committed.

Runs without a GPU, too. Wall-clock figures need a quiet machine; CPU-ms (of the host) need it less. All of it
is measured in one run on one machine: quote the ratios.
"""

import argparse
import os
import statistics
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.pipeline import MODELS, drain, drained, pictures, publish
from benchmarks.site import PARTITIONS, a_broker, environment, parser_of, print_measured
from framefuse.demo.children import Children
from framefuse.kafka import Reader
from framefuse.plugins import load_stage
from framefuse.publishing.sources import Picture
from framefuse.settings import KafkaSettings, load
from framefuse.types import Record
from processors.onnx.batches import buckets_up_to
from processors.providers import Opened, Provider, SessionWish, open_session
from schemas.codec import SchemaBook, decode
from schemas.topics import DEPTH, DETECTIONS, Topic
from tests.unit.builders import a_frame

TO: Mapping[str, Topic[Any]] = {"detection": DETECTIONS, "depth": DEPTH}
DEMO = {"detection": "demo-detector.onnx", "depth": "demo-depth.onnx"}
SECONDS = 2.0
"""Of each bare measurement."""
Tensor = npt.NDArray[np.generic]


def tensor_of(stage: str, model: Path, shown: Picture) -> Tensor:
    """What the stage makes of a picture, 1×3×h×w, opened on the CPU for this only."""
    described = load_stage(stage)
    build: Any = described.build
    settings = load(described.settings, model=str(model), provider="cpu")
    frame = a_frame("bench", 0, image=shown.image, width=shown.width, height=shown.height)
    frame = replace(frame, sha256=sha256(shown.image).hexdigest())
    fitted = build(settings).prepare(Record(frame, "frames", 0, 0, datetime.now(UTC)))
    return np.asarray(getattr(fitted, "tensor", fitted))


def bare(opened: Opened, picture: Tensor, batches: Sequence[int]) -> dict[str, Any]:
    """Pictures/s by batch and callers, and the best of them."""
    wanted = opened.session.get_inputs()[0]
    picture = picture.astype(np.float16 if "float16" in wanted.type else np.float32)
    fixed = wanted.shape[0] if isinstance(wanted.shape[0], int) else None
    found: dict[str, tuple[float, float]] = {}
    for batch in [fixed] if fixed else batches:
        feed = {wanted.name: np.repeat(picture, batch, axis=0)}
        for callers in sorted({1, 2, os.cpu_count() or 1} if opened.provider.startswith("CPU") else {1, 2}):
            found[f"{batch} by {callers}"] = _rate(opened, feed, callers, batch)
    best = max(found, key=lambda name: found[name][0])
    one = {wanted.name: np.repeat(picture, fixed or 1, axis=0)}
    return {
        "pictures_per_s_of_batch_by_callers": {name: round(rate, 1) for name, (rate, _) in found.items()},
        "best": best,
        "pictures_per_s": round(found[best][0], 1),
        "cpu_ms": round(found[best][1], 2),
        "one_picture_p50_ms": round(statistics.median(_times_ms(opened, one)), 2),
    }


def _rate(opened: Opened, feed: Mapping[str, Tensor], callers: int, batch: int) -> tuple[float, float]:
    """Pictures a second, and CPU-ms a picture."""
    opened.session.run(None, dict(feed))
    began_s, began_cpu_s = time.monotonic(), time.process_time()

    def call(_: int) -> int:
        runs = 0
        while time.monotonic() < began_s + SECONDS:
            opened.session.run(None, dict(feed))
            runs += 1
        return runs

    with ThreadPoolExecutor(callers) as pool:
        pictures_run = sum(pool.map(call, range(callers))) * batch
    cpu_s = time.process_time() - began_cpu_s
    return pictures_run / (time.monotonic() - began_s), cpu_s * 1e3 / pictures_run


def _times_ms(opened: Opened, feed: Mapping[str, Tensor], runs: int = 60) -> list[float]:
    times_ms = []
    for _ in range(runs):
        began_s = time.perf_counter()
        opened.session.run(None, dict(feed))
        times_ms.append((time.perf_counter() - began_s) * 1e3)
    return times_ms


class Latencies:
    """Reads a topic as it grows, in a thread, and notes the age of each record's frame."""

    def __init__(self, kafka: KafkaSettings, topic: Topic[Any]) -> None:
        self._kafka, self._topic = kafka, topic
        self.found_ms: list[float] = []
        self._stop = threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Meanwhile."""
        thread = threading.Thread(target=self._read)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def _read(self) -> None:
        name, book = self._topic.name(self._kafka.prefix), SchemaBook()
        with Reader(self._kafka, prefetch=50) as reader:
            reader.assign({part: end for part, (_, end) in reader.bounds(name).items()})
            while not self._stop.is_set():
                for message in reader.poll(0.1):
                    now = datetime.now(UTC)
                    row = decode(message.value, self._topic.record, book)
                    self.found_ms.append((now - row.frame.appended_at).total_seconds() * 1e3)


def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Everything, once."""
    model = arguments.model or MODELS / DEMO[arguments.stage]
    shown = pictures(arguments.size)
    picture = tensor_of(arguments.stage, model, shown[0])
    opened = open_session(model, Provider(arguments.provider), SessionWish())
    found: dict[str, Any] = {
        "model": model.name,
        "input": list(picture.shape),
        "provider": opened.provider,
        "why": opened.reason,
        "bare": bare(opened, picture, buckets_up_to(arguments.batch_max)),
    }
    del opened
    with a_broker(folder) as kafka, Children(folder / "logs", settings(arguments, model, kafka)) as children:
        under = Load(children, kafka, arguments, shown)
        found["worker"] = under.full()
        found["half_load"] = under.half(found["worker"]["frames_per_s"] / 2)
    alone, worker = found["bare"], found["worker"]
    found["ratios"] = {
        "frames_per_s_worker_to_bare": round(worker["frames_per_s"] / alone["pictures_per_s"], 3),
        "cpu_ms_bare_to_worker": round(alone["cpu_ms"] / worker["cpu_ms"], 3),
    }
    found["added_p50_ms"] = round(found["half_load"]["p50_ms"] - alone["one_picture_p50_ms"], 1)
    return found


def settings(arguments: argparse.Namespace, model: Path, kafka: KafkaSettings) -> dict[str, str]:
    """Settings of the worker."""
    own = f"FRAMEFUSE_{arguments.stage.upper()}"
    return environment(kafka) | {
        f"{own}_MODEL": str(model),
        f"{own}_PROVIDER": arguments.provider,
        f"{own}_BATCH_MAX": str(arguments.batch_max),
        f"{own}_BATCH_WAIT_MS": str(arguments.batch_wait_ms),
    }


class Load:
    """The worker under full and under half load."""

    def __init__(
        self,
        children: Children,
        kafka: KafkaSettings,
        arguments: argparse.Namespace,
        shown: list[Picture],
    ) -> None:
        self._children, self._kafka, self._arguments, self._shown = children, kafka, arguments, shown
        self._more = ["--workers", str(arguments.workers)]

    def full(self) -> dict[str, float]:
        """Drain a backlog."""
        arguments = self._arguments
        publish(self._kafka, self._shown, arguments.frames)
        found = drain(self._children, self._kafka, arguments.stage, arguments.frames, self._more)
        return {
            "workers": arguments.workers,
            "frames_per_s": round(found["frames_per_s"], 1),
            "cpu_ms": round(found["cpu_ms"], 2),
        }

    def half(self, fps: float) -> dict[str, float]:
        """Publish at a steady rate to a worker that is at work already."""
        stage, sent = self._arguments.stage, self._arguments.frames
        self._children.start("half", ["run", stage, *self._more])
        publish(self._kafka, self._shown, PARTITIONS, first=sent)
        done = drained(self._kafka, stage, sent + PARTITIONS)
        while not done():
            self._children.check()
            time.sleep(0.05)
        late = Latencies(self._kafka, TO[stage])
        with late.running():
            time.sleep(1.0)
            count = max(20, int(fps * self._arguments.seconds))
            publish(self._kafka, self._shown, count, first=sent + PARTITIONS, fps=fps)
            time.sleep(1.0)
        self._children.check()
        p50_ms = statistics.median(late.found_ms)
        return {"fps": round(fps, 1), "frames": len(late.found_ms), "p50_ms": round(p50_ms, 1)}


def main() -> None:
    """Measure and print one JSON object."""
    parser = parser_of(__doc__)
    parser.add_argument("--stage", choices=sorted(TO), default="detection")
    parser.add_argument("--model", type=Path, help="ONNX file; the demo model by default")
    parser.add_argument("--provider", choices=[str(one) for one in Provider], default="auto")
    parser.add_argument("--batch-max", type=int, default=8)
    parser.add_argument("--batch-wait-ms", type=float, default=0.0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--frames", type=int, default=2000, help="backlog that the worker drains")
    parser.add_argument("--seconds", type=float, default=15.0, help="length of the half load")
    parser.add_argument("--size", default="640x384", help="pixels of the pictures")
    print_measured(measure, parser.parse_args())


if __name__ == "__main__":
    main()
