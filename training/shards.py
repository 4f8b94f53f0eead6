"""Scenes on disk for training: drawn once, read by memory map.

Splits have seeds of their own, far apart, so no world is ever in two of them. A shard is a folder of
plain `.npy` files; a finished one is never drawn again.
"""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from producers.scenes.stage import aim
from producers.scenes.trace import ground_depth
from producers.scenes.world import build_world
from producers.synthetic import View, render

WIDTH, HEIGHT = 320, 192
WIDE_HEIGHT = 180
GREY = 114
SHARD = 250
MOST_OBJECTS = 24
PADDING = -1.0


@dataclass(frozen=True, slots=True)
class Split:
    """`count` scenes from `first_seed` on."""

    name: str
    first_seed: int
    count: int


TRAIN = Split("train", 1_000_000, 12_000)
CALIBRATION = Split("calibration", 2_000_000, 400)
TEST = Split("test", 3_000_000, 800)


@dataclass(frozen=True, slots=True)
class Scene:
    """One sample at the model's size.

    `image` H×W×3 uint8 BGR. `nearness` H×W float16, one over the depth in metres, 0 for sky, -1 where
    the picture has none (the grey bars of a wide frame). `objects` n×6 float32: class, x_min, y_min,
    x_max, y_max in pixels, visible share. `solid` H×W bool: something stands there, no ground, no sky.
    """

    image: NDArray[np.uint8]
    nearness: NDArray[np.float16]
    objects: NDArray[np.float32]
    solid: NDArray[np.bool_]


def moment(seed: int) -> float:
    """The second at which a scene of a split is taken."""
    return float(np.random.default_rng((seed, 1)).uniform(0, 30))


def draw(seed: int, *, plain: bool = False) -> Scene:
    """Draw the scene of a seed: half of them wide with grey bars, half of them through JPEG.

    `plain` leaves both out, as held-out scenes are.
    """
    random = np.random.default_rng((seed, 2))
    wide, packed, fine = random.random() < 0.5, random.random() < 0.5, 2.0 if random.random() < 0.25 else 1.5
    if plain:
        wide, packed, fine = False, False, 1.5
    view = render(seed, moment(seed), WIDTH, WIDE_HEIGHT if wide else HEIGHT, fine=fine)
    image = _through_jpeg(view.image, int(random.integers(55, 96))) if packed else view.image
    return _frame(view, image, standing_mask(seed, view))


def _through_jpeg(image: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    _, packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)


def standing_mask(seed: int, view: View) -> NDArray[np.bool_]:
    """Pixels that are nearer than the bare ground, by 1 % or more: objects and clutter. H×W."""
    height, width = view.depth_m.shape
    ground_m = ground_depth(aim(build_world(seed), moment(seed), width, height))
    return np.asarray(view.depth_m < 0.99 * ground_m, np.bool_)


def _frame(view: View, image: NDArray[np.uint8], standing: NDArray[np.bool_]) -> Scene:
    top = (HEIGHT - image.shape[0]) // 2
    rows = slice(top, top + image.shape[0])
    canvas = np.full((HEIGHT, WIDTH, 3), GREY, np.uint8)
    canvas[rows] = image
    nearness = np.full((HEIGHT, WIDTH), PADDING, np.float16)
    nearness[rows] = (1 / view.depth_m).astype(np.float16)
    objects = np.array([(o.class_id, *o.box, o.visible) for o in view.objects], np.float32).reshape(-1, 6)
    objects[:, [2, 4]] += top
    solid = np.zeros((HEIGHT, WIDTH), np.bool_)
    solid[rows] = standing
    return Scene(canvas, nearness, objects, solid)


def shard_folders(folder: Path, split: Split) -> list[Path]:
    """Where the shards of a split lie, drawn or not."""
    return [folder / split.name / f"{first:05d}" for first in range(0, split.count, SHARD)]


def draw_split(folder: Path, split: Split, *, workers: int, plain: bool = False) -> None:
    """Draw all missing shards of a split with `workers` processes, and show how far it is."""
    jobs = []
    for number, target in enumerate(shard_folders(folder, split)):
        first = number * SHARD
        if not target.exists():
            jobs.append((target, split.first_seed + first, min(SHARD, split.count - first), plain))
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=fresh) as pool, Progress() as progress:
        task = progress.add_task(f"scenes: {split.name}", total=len(jobs))
        for done in as_completed([pool.submit(_draw_shard, *job) for job in jobs]):
            done.result()
            progress.advance(task)


def _draw_shard(target: Path, first_seed: int, count: int, plain: bool) -> None:  # noqa: FBT001
    cv2.setNumThreads(1)
    images = np.empty((count, HEIGHT, WIDTH, 3), np.uint8)
    nearness = np.empty((count, HEIGHT, WIDTH), np.float16)
    objects = np.full((count, MOST_OBJECTS, 6), -1, np.float32)
    solid = np.empty((count, HEIGHT, WIDTH), np.bool_)
    for index in range(count):
        scene = draw(first_seed + index, plain=plain)
        images[index], nearness[index], solid[index] = scene.image, scene.nearness, scene.solid
        kept = scene.objects[np.argsort(-scene.objects[:, 5])][:MOST_OBJECTS]
        objects[index, : len(kept)] = kept
    unfinished = target.with_suffix(".part")
    unfinished.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, NDArray[Any]] = {
        "images": images,
        "nearness": nearness,
        "objects": objects,
        "solid": solid,
    }
    for name, values in arrays.items():
        np.save(unfinished / f"{name}.npy", values)
    unfinished.rename(target)
