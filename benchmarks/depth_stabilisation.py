"""What `--stabilise` does to relative depth: flicker and error against the truth of drawn scenes.

    python -m benchmarks.depth_stabilisation --frames 100 --worlds 6

Things and the camera move. The maps are inverse depth (1/m):

- flicker: the truth, each map with a scale (0.6 to 1.6), a shift (±0.3 of the spread) and noise of its own;
- turning: the same, while the camera turns by 7.5 % of the picture's width a frame;
- ranged: the demo model's, each map stretched to its own range from 0 to 1;
- model: the demo model's as they are. It knows metres, so there is next to nothing to mend: what gets worse
  here is what stabilising costs where it was not needed.

Each whole sequence is brought to the truth by one scale and shift (least squares), then measured in per mille
of the truth's spread (5th to 95th percentile): `flicker`, the mean change from map to map of pixels whose
truth stays, and `error`, the mean distance from the truth. `at best` brings every map to the truth alone, for
which one must know it. `scales`: how many began in all sequences together. The last line says how many cuts
from one world to another began one, as they should.
"""

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import cv2
import numpy as np
import numpy.typing as npt

from framefuse.pictures.decoding import Values, decode_map
from framefuse.pictures.encoding import encode_jpeg
from framefuse.settings import load
from framefuse.types import Prepared
from processors.depth.stabilising import Stabiliser
from processors.depth.stage import DepthEstimation, DepthSettings
from producers.synthetic import render
from schemas.records import Depth, Stabilisation
from tests.unit.builders import START, a_frame, a_record, origin_at

WIDTH, HEIGHT, FPS = 320, 192, 10
Sequences = npt.NDArray[np.float32]
"""Frames × h × w."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Of one sequence, in per mille of the truth's spread."""

    flicker: float
    error: float


def scene(seed: int, frames: int, stage: DepthEstimation) -> tuple[Sequences, Sequences]:
    """The truth of a world over time, and what the demo model makes of it, in 1/m at the model's size."""
    truths, found = [], []
    for number in range(frames):
        view = render(seed, number / FPS, WIDTH, HEIGHT)
        image = encode_jpeg(view.image, 90)
        frame = a_record(a_frame(sequence=number, image=image, width=WIDTH, height=HEIGHT), "frames", number)
        (depth,) = stage.process([Prepared(frame, stage.prepare(frame), 0.0, 0.0)])
        if not isinstance(depth, Depth) or depth.map is None:
            raise SystemExit(f"the demo model has no map for frame {number} of world {seed}: {depth}")
        size = depth.map.width, depth.map.height
        truths.append(cv2.resize(1 / view.depth_m, size, interpolation=cv2.INTER_NEAREST))
        found.append(np.nan_to_num(1 / decode_map(depth.map)))  # the sky has no value, and is far
    return np.array(truths, np.float32), np.array(found, np.float32)


def turning(seed: int, frames: int) -> Sequences:
    """The truth where a camera turns to and fro in a world that stands still: windows of one wide picture."""
    wide = np.asarray(1 / render(seed, 0.0, 5 * WIDTH, 2 * HEIGHT, fine=1).depth_m, np.float32)
    top, reach = HEIGHT // 2, 4 * WIDTH
    steps = (number * WIDTH * 3 // 40 % (2 * reach) for number in range(frames))
    lefts = [step if step <= reach else 2 * reach - step for step in steps]
    return np.array([wide[top : top + HEIGHT, left : left + WIDTH] for left in lefts])


def cuts_noticed(truths: Sequence[Sequences]) -> tuple[int, int]:
    """Of all cuts from one world to another, those that began a new scale; and all."""
    pairs = [(one, other) for one in truths for other in truths if one is not other]
    cuts = [np.concatenate([one[:2], other[:2]]) for one, other in pairs]
    return sum(stabilised(flickering(cut, at))[1] > 1 for at, cut in enumerate(cuts)), len(cuts)


def flickering(truth: Sequences, seed: int) -> Sequences:
    """Each map with a scale, a shift and some noise of its own."""
    rng, spread = np.random.default_rng(seed), spread_of(truth)
    count = len(truth)
    scale, shift = rng.uniform(0.6, 1.6, count), rng.uniform(-0.3, 0.3, count) * spread
    noise = rng.normal(0, 0.02 * spread, truth.shape)
    return ((truth + noise) * scale[:, None, None] + shift[:, None, None]).astype(np.float32)


def ranged(found: Sequences) -> Sequences:
    """Each map from 0 to 1."""
    low, high = found.min(axis=(1, 2), keepdims=True), found.max(axis=(1, 2), keepdims=True)
    return np.asarray((found - low) / (high - low), np.float32)


def stabilised(maps: Sequences) -> tuple[Sequences, int, float]:
    """The maps as the stage would give them, how often their scale began, and the milliseconds for one."""
    stabiliser, answers = Stabiliser(), list[tuple[Values, Stabilisation | None]]()
    begun_s = time.process_time()
    for number, values in enumerate(maps):
        origin = replace(origin_at(number), captured_at=START + number * timedelta(seconds=1 / FPS))
        answers.append(stabiliser.stabilise(origin, values))
    each_ms = (time.process_time() - begun_s) / len(maps) * 1e3
    begun = {said.since for _, said in answers if said is not None}
    return np.array([values for values, _ in answers], np.float32), len(begun), each_ms


def one_by_one(maps: Sequences, truth: Sequences) -> Sequences:
    """Every map brought to the truth on its own."""
    return np.array([to_truth(*both) for both in zip(maps, truth, strict=True)], np.float32)


def to_truth(maps: Sequences, truth: Sequences) -> Sequences:
    """The maps with the one scale and shift that bring them nearest to the truth."""
    scale, shift = np.polyfit(maps.ravel().astype(np.float64), truth.ravel().astype(np.float64), 1)
    return np.asarray(maps * scale + shift, np.float32)


def spread_of(truth: Sequences) -> float:
    """From the 5th to the 95th percentile."""
    low, high = np.percentile(truth, (5, 95))
    return float(high - low)


def measure(maps: Sequences, truth: Sequences) -> Measured:
    """Flicker of what stands still, and distance from the truth, after one scale and shift for all."""
    spread = spread_of(truth)
    maps = to_truth(maps, truth)
    still = np.abs(np.diff(truth, axis=0)) < 0.002 * spread
    flicker = float(np.abs(np.diff(maps, axis=0))[still].mean())
    return Measured(1e3 * flicker / spread, 1e3 * float(np.abs(maps - truth).mean()) / spread)


def compare(name: str, pairs: Sequence[tuple[Sequences, Sequences]]) -> str:
    """A line for one origin of maps: means over all worlds."""
    rows, begun, each_ms = [], 0, 0.0
    for maps, truth in pairs:
        after, scales, cost_ms = stabilised(maps)
        rows.append([measure(one, truth) for one in (maps, after, one_by_one(maps, truth))])
        begun, each_ms = begun + scales, each_ms + cost_ms / len(pairs)
    line = f"{name:8}"
    for what in ("flicker", "error"):
        without, with_it, best = (float(np.mean([getattr(row[at], what) for row in rows])) for at in range(3))
        line += f"  {without:7.1f} {with_it:7.1f} {with_it / without:6.2f} {best:8.1f}"
    return f"{line}  {begun:6d} {each_ms:5.1f}\n"


def main() -> None:
    """Draw the worlds and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", 1)[0])
    parser.add_argument("--frames", type=int, default=100, help="of each world, ten a second")
    parser.add_argument("--worlds", type=int, default=6)
    asked = parser.parse_args()
    stage = DepthEstimation(load(DepthSettings))
    scenes = [scene(seed, asked.frames, stage) for seed in range(asked.worlds)]
    truths = [truth for truth, _ in scenes]
    turns = [turning(seed, asked.frames) for seed in range(asked.worlds)]
    origins: Mapping[str, Sequence[tuple[Sequences, Sequences]]] = {
        "flicker": [(flickering(truth, at), truth) for at, truth in enumerate(truths)],
        "turning": [(flickering(truth, at), truth) for at, truth in enumerate(turns)],
        "ranged": [(ranged(found), truth) for truth, found in scenes],
        "model": [(found, truth) for truth, found in scenes],
    }
    sys.stdout.write(f"{'':8}  {'flicker, ‰ of the spread':>31}  {'error, ‰ of the spread':>31}\n")
    columns = f"{'without':>7} {'with':>7} {'ratio':>6} {'at best':>8}"
    sys.stdout.write(f"{'maps':8}  {columns}  {columns}  {'scales':>6} {'ms':>5}\n")
    for name, pairs in origins.items():
        sys.stdout.write(compare(name, pairs))
    noticed, cuts = cuts_noticed(truths)
    sys.stdout.write(f"{noticed} of {cuts} cuts began a new scale\n")


if __name__ == "__main__":
    main()
