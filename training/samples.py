"""Batches for training: scenes read from shards, shown a little differently each time.

numpy and OpenCV only; the caller turns batches into tensors.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from training.shards import GREY, HEIGHT, PADDING, WIDE_HEIGHT, WIDTH, Split, shard_folders

MIN_SIDE_PX = 5.0
MIN_VISIBLE = 0.25
Random = np.random.Generator
Picture = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Boxes:
    """n objects: corners n×4 float32 in pixels, classes n, and which are too hard to count."""

    corners: NDArray[np.float32]
    classes: NDArray[np.int64]
    ignored: NDArray[np.bool_]


class Shards:
    """All scenes of a split, mapped from disk."""

    def __init__(self, folder: Path, split: Split) -> None:
        folders = shard_folders(folder, split)
        self._arrays = {
            name: [np.load(shard / f"{name}.npy", mmap_mode="r") for shard in folders]
            for name in ("images", "nearness", "objects", "solid")
        }
        sizes = [len(images) for images in self._arrays["images"]]
        self._places = [(shard, row) for shard, size in enumerate(sizes) for row in range(size)]

    def __len__(self) -> int:
        return len(self._places)

    def _row(self, name: str, index: int) -> NDArray[np.generic]:
        shard, row = self._places[index]
        return np.asarray(self._arrays[name][shard][row])

    def image(self, index: int) -> Picture:
        """H×W×3 uint8 BGR."""
        return self._row("images", index).astype(np.uint8, copy=False)

    def nearness(self, index: int) -> NDArray[np.float32]:
        """H×W, one over metres; 0 sky, -1 no picture."""
        return self._row("nearness", index).astype(np.float32)

    def solid(self, index: int) -> NDArray[np.bool_]:
        """H×W: objects and clutter."""
        return self._row("solid", index).astype(np.bool_, copy=False)

    def objects(self, index: int) -> NDArray[np.float32]:
        """n×6: class, corners in pixels, visible share."""
        rows = self._row("objects", index).astype(np.float32)
        return rows[rows[:, 0] >= 0]


def detection_sample(shards: Shards, index: int, random: Random) -> tuple[Picture, Boxes]:
    """A scene moved, scaled, mirrored and coloured anew, with its boxes."""
    image, rows = shards.image(index), shards.objects(index)
    corners, visible = rows[:, 1:5].copy(), rows[:, 5].copy()
    if random.random() < 0.6:
        image, corners, visible = _rescale(image, corners, visible, random)
    if random.random() < 0.5:
        image = image[:, ::-1]
        corners[:, [0, 2]] = WIDTH - corners[:, [2, 0]]
    sides = np.minimum(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
    present = sides > 1
    ignored = (sides < MIN_SIDE_PX) | (visible < MIN_VISIBLE)
    return recolour(image, random), Boxes(
        corners[present], rows[present, 0].astype(np.int64), ignored[present]
    )


def _rescale(
    image: Picture, corners: NDArray[np.float32], visible: NDArray[np.float32], random: Random
) -> tuple[Picture, NDArray[np.float32], NDArray[np.float32]]:
    scale = random.uniform(0.75, 1.4)
    shift = (1 - scale) * WIDTH * random.random(), (1 - scale) * HEIGHT * random.random()
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]], np.float32)
    moved = cv2.warpAffine(
        image, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR, borderValue=(GREY, GREY, GREY)
    )
    before = (corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1]) * scale * scale
    moved_corners = corners * scale + np.array([*shift, *shift], np.float32)
    moved_corners[:, [0, 2]] = moved_corners[:, [0, 2]].clip(0, WIDTH)
    moved_corners[:, [1, 3]] = moved_corners[:, [1, 3]].clip(0, HEIGHT)
    width, height = moved_corners[:, 2] - moved_corners[:, 0], moved_corners[:, 3] - moved_corners[:, 1]
    left = (width * height / np.maximum(before, 1e-3)).astype(np.float32)
    return np.asarray(moved, np.uint8), moved_corners.astype(np.float32), visible * left


@dataclass(frozen=True, slots=True)
class DepthSample:
    """`image` H×W×3 uint8, `nearness` H×W float32 as in a shard, `solid` H×W bool."""

    image: Picture
    nearness: NDArray[np.float32]
    solid: NDArray[np.bool_]


def depth_sample(shards: Shards, index: int, random: Random) -> DepthSample:
    """A scene mirrored and coloured anew; wide ones are stretched over the canvas half of the time."""
    image, nearness, solid = shards.image(index), shards.nearness(index), shards.solid(index)
    if nearness[0, 0] == PADDING and random.random() < 0.5:
        top = (HEIGHT - WIDE_HEIGHT) // 2
        rows = slice(top, HEIGHT - top)
        image = np.asarray(cv2.resize(image[rows], (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR), np.uint8)
        source = (np.arange(HEIGHT) * WIDE_HEIGHT / HEIGHT).astype(np.intp) + top
        nearness, solid = nearness[source], solid[source]
    if random.random() < 0.5:
        image, nearness, solid = image[:, ::-1], nearness[:, ::-1], solid[:, ::-1]
    return DepthSample(recolour(image, random), nearness, solid)


def recolour(image: Picture, random: Random) -> Picture:
    """Another exposure, white balance and contrast, and a little noise."""
    gain = random.uniform(0.75, 1.3) * random.uniform(0.93, 1.07, 3)
    contrast, middle = random.uniform(0.8, 1.2), float(image[::8, ::8].mean())
    levels = np.arange(256)[:, None]
    table = np.clip(((levels - middle) * contrast + middle) * gain, 0, 255).astype(np.uint8)
    coloured = cv2.LUT(np.ascontiguousarray(image), table[:, None, :])
    if random.random() < 0.5:
        spread = random.uniform(1, 7)
        grain = random.integers(-128, 128, image.shape, np.int8)
        noise = grain.astype(np.float32) * np.float32(spread / 74)
        coloured = cv2.add(coloured, noise, dtype=cv2.CV_8U)
    return np.asarray(coloured, np.uint8)
