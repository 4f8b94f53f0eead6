"""What two detectors found in one picture, compared box by box."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from framefuse.pictures.decoding import measure
from framefuse.types import Prepared, Processor
from schemas.records import Detections, Frame
from tests.oracle.seeing import a_texture
from tests.unit.builders import a_frame, a_record

PICTURES = {
    "wide.jpg": (1280, 360),
    "tall.jpg": (333, 900),
    "tiny.png": (17, 11),
    "odd.jpg": (641, 427),
    "grey.png": (500, 375),
    "rounds-down.jpg": (1000, 701),
}


class Found(NamedTuple):
    """One object."""

    class_id: int
    score: float
    corners: list[float]


def draw_pictures(folder: Path) -> Path:
    """Write `PICTURES`."""
    for seed, (name, (width, height)) in enumerate(PICTURES.items()):
        picture = a_texture(width, height, seed)
        shown = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY) if name == "grey.png" else picture
        assert cv2.imwrite(str(folder / name), shown)
    return folder


def found_by(detector: Processor[Frame, Any, Detections], *pictures: Path) -> list[list[Found]]:
    """What framefuse finds in these pictures, which it gets as one batch."""
    batch = []
    for offset, picture in enumerate(pictures):
        image = picture.read_bytes()
        encoding, width, height = measure(image)
        frame = replace(a_frame(image=image, width=width, height=height), encoding=encoding)
        record = a_record(frame, "framefuse.frames", offset)
        batch.append(Prepared(record, detector.prepare(record), 0.0, 0.0))
    answers = detector.process(batch)
    return [_found(answer) for answer in answers]


def _found(answer: object) -> list[Found]:
    assert isinstance(answer, Detections), answer
    return [
        Found(one.class_id, one.score, [one.box.x_min, one.box.y_min, one.box.x_max, one.box.y_max])
        for one in answer.objects
    ]


def assert_same(expected: Sequence[Found], found: Sequence[Found]) -> None:
    """As many boxes, each with a counterpart of its class that overlaps by 0.99 and scores within 0.001."""
    assert len(expected) >= 5, "no test without boxes"
    assert len(found) == len(expected)
    left = list(found)
    for one in expected:
        near = [k for k, other in enumerate(left) if other.class_id == one.class_id]
        assert near, f"{one} has no counterpart of its class"
        overlaps = _overlap(one, [left[k] for k in near])
        # Of several in one place that of its score is meant.
        apart = [abs(one.score - left[k].score) for k in near]
        best = max(range(len(near)), key=lambda k: (min(overlaps[k], 0.99), -apart[k]))
        pair = left.pop(near[best])
        assert overlaps[best] >= 0.99, (one, pair)
        assert abs(one.score - pair.score) <= 1e-3, (one, pair)


def _overlap(one: Found, others: Sequence[Found]) -> npt.NDArray[np.float64]:
    """Intersection over union of one box with each of the others; of boxes of one place it is 1."""
    box, boxes = np.array(one.corners), np.array([other.corners for other in others]).reshape(-1, 4)
    sides = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    shared = np.prod(sides.clip(0), axis=1)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) + np.prod(box[2:] - box[:2])
    same = (np.abs(boxes - box) < 1e-3).all(axis=1)
    return np.where(same, 1.0, shared / np.maximum(areas - shared, 1e-12))
