"""Does it hold still? Boxes and depth of moving scenes, frame after frame, against the truth.

A flicker is an object that was found, is missed, and is found again; a pulse is a depth map whose
scale changes from one frame to the next while the scene's does not.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from producers.synthetic import View, render
from training.detections import Rows, keep_best, overlaps
from training.measures import FARTHEST_M
from training.onnx_files import TimedModel
from training.shards import HEIGHT, WIDTH

SECONDS = 10.0
FRAMES_PER_S = 10.0
_MIN_SIDE_PX = 10.0
_MIN_VISIBLE = 0.3
_SAME_IOU = 0.5


@dataclass(frozen=True, slots=True)
class Steadiness:
    """Measured over several streams of 10 s at 10 frames/s.

    `found` share of object frames with a right box; `continued` share of found object frames whose
    next frame is found too; `flickers_per_track_s` losses of a still visible object per object and
    second; `jitter_px` mean movement of box edges that the true box did not make; `pulse` mean change
    of the median scale from frame to frame, `pulse_95` its 95th percentile.
    """

    found: float
    continued: float
    flickers_per_track_s: float
    jitter_px: float
    pulse: float
    pulse_95: float


@dataclass(slots=True)
class _Tracks:
    """What became of every object from frame to frame: found or not, and how far its edges were off."""

    hits: list[bool]
    kept: list[bool]
    shifts: list[float]
    before: dict[int, Rows]


def steadiness(
    detector: TimedModel, depth: TimedModel, seeds: Sequence[int], *, seconds: float = SECONDS
) -> Steadiness:
    """Run both models over the first `seconds` of the streams of some seeds."""
    hits: list[bool] = []
    kept: list[bool] = []
    shifts: list[float] = []
    pulses: list[float] = []
    for seed in seeds:
        tracks = _Tracks(hits, kept, shifts, {})
        last_scale: float | None = None
        for number in range(int(seconds * FRAMES_PER_S)):
            view = render(seed, number / FRAMES_PER_S, WIDTH, HEIGHT)
            _follow(
                tracks, view, keep_best(detector.run(view.image), (WIDTH, HEIGHT), lowest=detector.confidence)
            )
            scale = _scale(view, depth)
            if last_scale is not None:
                pulses.append(abs(np.log(scale / last_scale)))
            last_scale = scale
    continued = float(np.mean(kept))
    return Steadiness(
        found=float(np.mean(hits)),
        continued=continued,
        flickers_per_track_s=(1 - continued) * FRAMES_PER_S,
        jitter_px=float(np.mean(shifts)),
        pulse=float(np.mean(pulses)),
        pulse_95=float(np.percentile(pulses, 95)),
    )


def _follow(tracks: _Tracks, view: View, found: Rows) -> None:
    """Add one frame; `before` maps each object found in the last frame to its edges' errors there."""
    now: dict[int, Rows] = {}
    for truth in view.objects:
        x_min, y_min, x_max, y_max = truth.box
        if truth.visible < _MIN_VISIBLE or min(x_max - x_min, y_max - y_min) < _MIN_SIDE_PX:
            continue
        error = _match(np.array(truth.box, np.float32), truth.class_id, found)
        tracks.hits.append(error is not None)
        if truth.number in tracks.before:
            tracks.kept.append(error is not None)
        if error is not None:
            now[truth.number] = error
            if truth.number in tracks.before:
                tracks.shifts.append(float(np.abs(error - tracks.before[truth.number]).mean()))
    tracks.before = now


def _match(box: Rows, class_id: int, found: Rows) -> Rows | None:
    """Edges of the best box of this class minus the true ones, or None."""
    rows = found[found[:, 5] == class_id]
    if not len(rows):
        return None
    shared = overlaps(box, rows)
    best = int(shared.argmax())
    return np.asarray(rows[best, :4] - box, np.float32) if shared[best] >= _SAME_IOU else None


def _scale(view: View, depth: TimedModel) -> float:
    metres = depth.run(view.image)[0]
    valid = view.depth_m < FARTHEST_M
    return float(np.median(view.depth_m[valid] / metres[valid]))
