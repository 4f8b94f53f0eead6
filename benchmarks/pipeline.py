"""What the pipeline costs: frames/s, CPU-ms a frame and memory of each stage, beside the bare model; latency.

    python -m benchmarks.pipeline --frames 2000 --fps 20

Starts its own broker. Each stage drains the same backlog alone, as one process with one worker; the bare
model runs in the same run, so quote the ratios. Then all stages run together while frames come at a steady
rate; latency is `fused_at − appended_at` (one host, one clock).
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import psutil

from benchmarks.site import PARTITIONS, a_broker, environment, parser_of, print_measured, quantiles
from framefuse.demo.children import Child, Children
from framefuse.kafka import Admin, Producer, Reader, group_of
from framefuse.publishing.sources import Picture, SourceOptions, open_sources
from framefuse.settings import KafkaSettings
from schemas.codec import SchemaBook, decode, encode
from schemas.records import Frame, Fused
from schemas.topics import DETECTIONS, FRAMES, FUSED, Topic
from tests.unit.builders import a_frame

MODELS = Path(__file__).parents[1] / "processors" / "models"
_SOURCE_OF: Mapping[str, Topic[Any]] = {"join": DETECTIONS, "object-store": FUSED}


def bare_model_ms(path: Path, runs: int = 200) -> float:
    """Median CPU-ms of one run on one thread."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    wanted = session.get_inputs()[0]
    shape = [side if isinstance(side, int) else 1 for side in wanted.shape]
    tensor = np.random.default_rng(1).random(shape, np.float32)
    times_ms = []
    for _ in range(runs):
        begun_s = time.process_time()
        session.run(None, {wanted.name: tensor})
        times_ms.append((time.process_time() - begun_s) * 1000)
    return statistics.median(times_ms)


def pictures(size: str) -> list[Picture]:
    """Twenty different drawn pictures."""
    (source,) = open_sources([f"synthetic:?seed=7&size={size}&fps=5&seconds=4"], SourceOptions())
    return [item for item in source if isinstance(item, Picture)]


def frame_of(picture: Picture, stream: str, sequence: int, *, budget_ms: int | None = None) -> Frame:
    """A frame that can be decoded; live if it has a budget."""
    return a_frame(
        stream,
        sequence,
        image=picture.image,
        width=picture.width,
        height=picture.height,
        live=budget_ms is not None,
        freshness_ms=budget_ms,
    )


def send(kafka: KafkaSettings, frames: Iterable[tuple[Frame, int]], *, fps: float = 0.0) -> None:
    """Frames to the partition that each says, as fast as possible or at a steady rate."""
    producer, topic = Producer(kafka, live=fps > 0), FRAMES.name(kafka.prefix)
    begun_s = time.monotonic()
    for number, (frame, partition) in enumerate(frames, start=1):
        producer.send(topic, encode(frame), key=frame.stream_id.encode(), partition=partition)
        producer.poll(0)
        if fps:
            time.sleep(max(0.0, begun_s + number / fps - time.monotonic()))
    producer.flush(30.0)


def publish(
    kafka: KafkaSettings, shown: list[Picture], count: int, *, first: int = 0, fps: float = 0.0
) -> None:
    """Frames of one stream in turn to all partitions."""
    numbers = range(first, first + count)
    frames = ((frame_of(shown[n % len(shown)], "bench", n), n % PARTITIONS) for n in numbers)
    send(kafka, frames, fps=fps)


def drained(kafka: KafkaSettings, stage: str, count: int) -> Callable[[], bool]:
    """Whether the stage has committed all its input."""
    admin = Admin(kafka)
    topic = _SOURCE_OF.get(stage, FRAMES).name(kafka.prefix)
    ends = admin.end_offsets(topic)

    def check() -> bool:
        done = admin.group_offsets(group_of(kafka, stage), topic)
        return all(done.get(number, 0) >= end for number, end in ends.items()) and sum(done.values()) >= count

    return check


def drain(
    children: Children, kafka: KafkaSettings, stage: str, count: int, more: Sequence[str] = ()
) -> dict[str, float]:
    """Run one command, with `more` arguments, until the backlog is gone; what it took beyond its start."""
    child: Child = children.start(stage, ["run", stage, *more])
    process = psutil.Process(child.process.pid)
    admin, done = Admin(kafka), drained(kafka, stage, count)
    topic = _SOURCE_OF.get(stage, FRAMES).name(kafka.prefix)
    group = group_of(kafka, stage)
    while not sum(admin.group_offsets(group, topic).values()):
        time.sleep(0.05)
    begun_s, begun_cpu_s = time.monotonic(), sum(process.cpu_times()[:2])
    already = sum(admin.group_offsets(group, topic).values())
    while not done():
        children.check()
        time.sleep(0.05)
    took_s, cpu_s = time.monotonic() - begun_s, sum(process.cpu_times()[:2]) - begun_cpu_s
    rss_mb = process.memory_info().rss / 1e6
    children.stop()
    frames = max(1, count - already)
    return {"frames_per_s": frames / took_s, "cpu_ms": cpu_s * 1000 / frames, "rss_mb": rss_mb}


def latencies_ms(kafka: KafkaSettings, first_offset: int) -> list[float]:
    """Of the frames from this offset on, in every partition."""
    book = SchemaBook()
    with Reader(kafka, prefetch=50) as reader:
        rows = [decode(message.value, Fused, book) for message in reader.everything(FUSED.name(kafka.prefix))]
    return [
        (row.fused_at - row.frame.appended_at).total_seconds() * 1000
        for row in rows
        if row.frame.offset >= first_offset
    ]


def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Everything, once."""
    with a_broker(folder) as kafka:
        settings = environment(kafka, FRAMEFUSE_OBJECT_STORE_URL=str(folder / "results"))
        shown = pictures(arguments.size)
        publish(kafka, shown, arguments.frames)
        found: dict[str, Any] = {}
        with Children(folder / "logs", settings) as children:
            for stage, model in {"detection": "demo-detector", "depth": "demo-depth"}.items():
                bare_ms = bare_model_ms(MODELS / f"{model}.onnx")
                found[stage] = drain(children, kafka, stage, arguments.frames) | {
                    "bare_model_cpu_ms": bare_ms
                }
                found[stage]["bare_to_worker"] = bare_ms / found[stage]["cpu_ms"]
            found["join"] = drain(children, kafka, "join", arguments.frames)
            found["object-store"] = drain(children, kafka, "object-store", arguments.frames)
            for stage in ("detection", "depth", "join"):
                children.start(f"{stage}-live", ["run", stage])
            time.sleep(6.0)
            count = int(arguments.fps * arguments.seconds)
            publish(kafka, shown, count, first=arguments.frames, fps=arguments.fps)
            time.sleep(3.0)
        late = latencies_ms(kafka, arguments.frames // PARTITIONS)
        found["latency"] = {
            "fps": arguments.fps,
            "frames": len(late),
            **quantiles(late),
        }
        return found


def main() -> None:
    """Measure and print one JSON object."""
    parser = parser_of(__doc__)
    parser.add_argument("--frames", type=int, default=2000, help="backlog that each stage drains")
    parser.add_argument("--fps", type=float, default=20.0, help="steady rate of the latency part")
    parser.add_argument("--seconds", type=float, default=15.0, help="length of the latency part")
    parser.add_argument("--size", default="640x384", help="pixels of the pictures")
    print_measured(measure, parser.parse_args())


if __name__ == "__main__":
    main()
