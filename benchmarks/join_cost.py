"""What the join costs without Kafka: CPU-ms a frame of merge and fuse.

Run it as `python -m benchmarks.join_cost`.
"""

import sys
from collections.abc import Sequence
from time import process_time
from typing import Any

import cv2
import numpy as np

from framefuse.pictures.decoding import encode_map
from framefuse.types import Record
from processors.join.stage import JoinSettings, join
from schemas.records import DepthKind, DepthMap
from schemas.topics import DEPTH, DETECTIONS
from tests.unit.builders import START, a_record, an_object, depth_of, detections_of

FRAMES, BATCH = 2000, 50


def a_scene_map() -> DepthMap:
    """320×192, about 50 KB: slopes with some texture, in steps of 2 cm."""
    y, x = np.mgrid[0:192, 0:320]
    texture = cv2.GaussianBlur(np.random.default_rng(0).normal(0, 8, (192, 320)), (0, 0), 3)
    return encode_map(
        (5 + 20 * np.sin(x / 60) + y / 10 + texture).astype(np.float32), DepthKind.METRIC, "m", step=0.02
    )


def cpu_ms_a_frame(objects: int, depth_map: DepthMap) -> float:
    """Feed both sides in batches and emit."""
    found = [an_object((30 + 100 * i, 60, 150 + 100 * i, 300)) for i in range(objects)]
    sides: dict[str, Sequence[Record[Any]]] = {
        DETECTIONS.suffix: [a_record(detections_of(i, objects=found), "", i) for i in range(FRAMES)],
        DEPTH.suffix: [a_record(depth_of(i, map=depth_map), "", i) for i in range(FRAMES)],
    }
    merge = join(JoinSettings())
    merge.assigned(0, [], dict.fromkeys(sides, 0))
    emitted, started = 0, process_time()
    for first in range(0, FRAMES, BATCH):
        for suffix, records in sides.items():
            for record in records[first : first + BATCH]:
                merge.add(suffix, record)
        emitted += len(merge.advance(0, START))
        merge.safe(0, dict.fromkeys(sides, first + BATCH))
    elapsed_s = process_time() - started
    if emitted != FRAMES:
        raise AssertionError(f"{emitted} frames of {FRAMES} came out")
    return elapsed_s * 1000 / FRAMES


if __name__ == "__main__":
    scene = a_scene_map()
    for count in (0, 1, 5):
        best = min(cpu_ms_a_frame(count, scene) for _ in range(3))
        sys.stdout.write(f"{count} objects, map of {len(scene.data)} bytes: {best:.3f} CPU-ms a frame\n")
