"""Scenes as training and evaluation get them."""

from pathlib import Path

import numpy as np

from training.samples import Shards, depth_sample, detection_sample
from training.shards import GREY, HEIGHT, PADDING, WIDE_HEIGHT, WIDTH, Split, draw, draw_split

FEW = Split("few", 9_000_000, 4)
SEED_WIDE = next(seed for seed in range(100) if draw(seed).nearness[0, 0] == PADDING)
TOP = (HEIGHT - WIDE_HEIGHT) // 2


def test_a_wide_scene_lies_between_grey_bars_that_have_no_depth() -> None:
    scene = draw(SEED_WIDE)
    for bar in (slice(0, TOP), slice(HEIGHT - TOP, HEIGHT)):
        assert (scene.image[bar] == GREY).all()
        assert (scene.nearness[bar] == PADDING).all()
        assert not scene.solid[bar].any()
    assert (scene.nearness[TOP : HEIGHT - TOP] >= 0).all()
    assert (scene.objects[:, 2] >= TOP).all()
    assert (scene.objects[:, 4] <= HEIGHT - TOP).all()


def test_a_plain_scene_fills_the_canvas() -> None:
    assert (draw(SEED_WIDE, plain=True).nearness >= 0).all()


def test_objects_are_solid_and_sky_is_not() -> None:
    scene = draw(3, plain=True)
    assert not (scene.solid & (scene.nearness == 0)).any()
    assert len(scene.objects) > 0
    for row in scene.objects[scene.objects[:, 5] > 0.9]:
        left, top, right, bottom = (round(float(edge)) for edge in row[1:5])
        assert scene.solid[top:bottom, left:right].mean() > 0.3


def test_shards_hold_what_was_drawn_and_are_drawn_once(tmp_path: Path) -> None:
    draw_split(tmp_path, FEW, workers=1, plain=True)
    shards, scene = Shards(tmp_path, FEW), draw(FEW.first_seed + 2, plain=True)
    assert len(shards) == FEW.count
    assert np.array_equal(shards.image(2), scene.image)
    assert np.array_equal(shards.nearness(2), scene.nearness.astype(np.float32))
    assert np.array_equal(shards.solid(2), scene.solid)
    assert sorted(map(tuple, shards.objects(2))) == sorted(map(tuple, scene.objects))
    written = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npy")}
    draw_split(tmp_path, FEW, workers=1, plain=True)
    assert written == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npy")}


def test_moved_samples_keep_their_boxes_inside_and_their_sizes(tmp_path: Path) -> None:
    draw_split(tmp_path, FEW, workers=1)
    shards = Shards(tmp_path, FEW)
    for turn in range(20):
        random = np.random.default_rng(turn)
        image, boxes = detection_sample(shards, turn % FEW.count, random)
        assert image.shape == (HEIGHT, WIDTH, 3)
        assert len(boxes.classes) == len(boxes.corners) == len(boxes.ignored)
        assert (boxes.corners[:, :2] < boxes.corners[:, 2:]).all()
        assert (boxes.corners >= 0).all()
        assert (boxes.corners <= [WIDTH, HEIGHT, WIDTH, HEIGHT]).all()
        sample = depth_sample(shards, turn % FEW.count, random)
        assert sample.image.shape == (HEIGHT, WIDTH, 3)
        assert sample.nearness.shape == sample.solid.shape == (HEIGHT, WIDTH)
        assert not (sample.solid & (sample.nearness <= 0)).any()
