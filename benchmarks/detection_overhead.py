"""What the detection stage adds to its model: frames/s, CPU time and latency, ours and bare.

    yolo export model=yolo11n.pt format=onnx imgsz=640
    python -m benchmarks.detection_overhead yolo11n.onnx

Ours is all that the stage does with a frame whose picture is decoded: fitting, the model, boxes, the record.
Bare is `session.run` alone, on the tensor that ours made, in a session with the same settings. Both take
turns in one process, a short round of each at a time, so that whatever else this machine does strikes both;
quote the ratios, which are medians over the rounds. On a machine with other work trust those of CPU time.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple
from unittest.mock import patch

import cv2
import numpy as np
import onnxruntime as ort

from framefuse.pictures.decoding import decode
from framefuse.pictures.encoding import encode_jpeg
from framefuse.settings import load
from framefuse.types import Image, Prepared, Record
from processors.detection.settings import DetectionSettings
from processors.detection.stage import Detection
from processors.providers import Provider
from schemas.records import Detections, Frame
from tests.unit.builders import a_frame, a_record

Once = Callable[[], object]


def a_picture(width: int, height: int) -> Image:
    """Blobs of several sizes and colours."""
    rng, picture = np.random.default_rng(1), np.zeros((height, width, 3), np.float32)
    for cells in (3, 9, 27):
        noise = rng.uniform(0, 255 / 3, (cells, cells, 3)).astype(np.float32)
        picture += cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    return picture.clip(0, 255).astype(np.uint8)


def whole_stage(detector: Detection, record: Record[Frame]) -> Detections:
    """One frame through the stage."""
    (answer,) = detector.process([Prepared(record, detector.prepare(record), 0.0, 0.0)])
    if not isinstance(answer, Detections):
        raise answer
    return answer


def bare_model(path: Path, detector: Detection, record: Record[Frame]) -> Once:
    """The model alone, on what the stage would give it."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    wanted = session.get_inputs()[0]
    dtype = np.float16 if wanted.type == "tensor(float16)" else np.float32
    feed = {wanted.name: detector.prepare(record).tensor.astype(dtype)}
    return lambda: session.run(None, feed)


class Round(NamedTuple):
    """Some frames, one after the other in each thread."""

    frames_per_s: float
    cpu_ms: float
    """Of the process, a frame."""
    times_ms: Sequence[float]
    """Of each frame."""


def a_round(once: Once, frames: int, pool: ThreadPoolExecutor) -> Round:
    """Measure so many frames, through all threads of the pool."""

    def one(_: int) -> float:
        begun_s = time.perf_counter()
        once()
        return (time.perf_counter() - begun_s) * 1000

    begun_s, begun_cpu_s = time.perf_counter(), time.process_time()
    times_ms = list(pool.map(one, range(frames)))
    took_s, cpu_s = time.perf_counter() - begun_s, time.process_time() - begun_cpu_s
    return Round(frames / took_s, cpu_s * 1000 / frames, times_ms)


def measure(path: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """One model file."""
    settings = {} if arguments.confidence is None else {"confidence": arguments.confidence}
    detector = Detection(load(DetectionSettings, model=path, provider=Provider.CPU, **settings))
    width, height = map(int, arguments.size.split("x"))
    image = encode_jpeg(a_picture(width, height), 90)
    frame = a_frame(image=image, width=width, height=height)
    record, decoded = a_record(frame, "framefuse.frames", 0), decode(image)
    if frame.sha256 != sha256(image).hexdigest():
        raise AssertionError("a frame that no stage would take")
    with patch("processors.detection.stage.decode_frame", lambda *_, **__: decoded):
        bare = bare_model(path, detector, record)
        objects = len(whole_stage(detector, record).objects)

        def ours() -> object:
            return whole_stage(detector, record)

        with ThreadPoolExecutor(arguments.callers) as pool:
            frames = arguments.frames * arguments.callers
            for once in (bare, ours):
                a_round(once, frames, pool)
            pairs = [
                (a_round(bare, frames, pool), a_round(ours, frames, pool)) for _ in range(arguments.rounds)
            ]
    (bare_p50_ms, bare_cpu_ms), (p50_ms, cpu_ms) = (
        (median(ms for one in side for ms in one.times_ms), median(one.cpu_ms for one in side))
        for side in zip(*pairs, strict=True)
    )
    found = {
        "bare_frames_per_s": median(theirs.frames_per_s for theirs, _ in pairs),
        "ours_to_bare": median(mine.frames_per_s / theirs.frames_per_s for theirs, mine in pairs),
        "bare_cpu_ms": bare_cpu_ms,
        "added_cpu_ms": cpu_ms - bare_cpu_ms,
        "bare_to_ours_cpu": median(theirs.cpu_ms / mine.cpu_ms for theirs, mine in pairs),
        "bare_p50_ms": bare_p50_ms,
        "added_p50_ms": p50_ms - bare_p50_ms,
    }
    return {"objects": objects, **{name: round(value, 3) for name, value in found.items()}}


def main() -> None:
    """Measure and print one JSON object, by file and number of callers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, nargs="+", help="ONNX files of detectors")
    parser.add_argument("--size", default="1280x720", help="pixels of the picture")
    parser.add_argument("--confidence", type=float, help="as of the stage: fewer objects cost less")
    parser.add_argument("--frames", type=int, default=2, help="of each thread in a round")
    parser.add_argument("--rounds", type=int, default=40, help="of each, in turn")
    parser.add_argument("--callers", type=int, default=os.cpu_count(), help="threads that share one model")
    arguments = parser.parse_args()
    print(json.dumps({path.name: measure(path, arguments) for path in arguments.model}, indent=1))  # noqa: T201


if __name__ == "__main__":
    main()
