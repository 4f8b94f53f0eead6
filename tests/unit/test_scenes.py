"""The renderer: the same picture for the same arguments, and a truth that agrees with it."""

from itertools import combinations

import numpy as np
import pytest

from framefuse.errors import BadInput
from producers.scenes.motion import Lane
from producers.scenes.stage import aim
from producers.scenes.trace import ground_depth
from producers.scenes.world import build_world
from producers.synthetic import LABELS, Truth, View, render

SEEDS = range(500, 516)
FRAME_S = 0.1
REACH_PX = 12


def a_view(seed: int = 7, t_s: float = 0.0, width: int = 320, height: int = 192) -> View:
    return render(seed, t_s, width, height)


def sides(truth: Truth) -> tuple[float, float]:
    x_min, y_min, x_max, y_max = truth.box
    return x_max - x_min, y_max - y_min


def beside(one: Truth, other: Truth) -> bool:
    """Whether a thing may have come from behind the other."""
    a, b = one.box, other.box
    across = a[0] < b[2] + REACH_PX and b[0] < a[2] + REACH_PX
    return across and a[1] < b[3] + REACH_PX and b[1] < a[3] + REACH_PX


def test_the_same_arguments_give_the_same_view() -> None:
    first, other = a_view(t_s=1.5), a_view(seed=8, t_s=1.5)
    build_world.cache_clear()
    again = a_view(t_s=1.5)
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.depth_m, again.depth_m)
    assert first.objects == again.objects
    assert not np.array_equal(first.image, other.image)


@pytest.mark.parametrize(("width", "height"), [(16, 16), (320, 192), (641, 359), (96, 240)])
def test_a_view_has_the_size_that_was_asked_for(width: int, height: int) -> None:
    view = a_view(width=width, height=height)
    assert view.image.shape == (height, width, 3)
    assert view.image.dtype == np.uint8
    assert view.depth_m.shape == (height, width)
    assert view.depth_m.dtype == np.float32


@pytest.mark.parametrize(("seed", "width"), [(-1, 320), (0, 15)])
def test_what_cannot_be_drawn_is_refused(seed: int, width: int) -> None:
    with pytest.raises(BadInput, match="use a seed from 0 and at least 16x16"):
        render(seed, 0.0, width, 192)


def test_boxes_lie_in_the_picture_and_carry_their_label() -> None:
    for seed in SEEDS:
        for truth in a_view(seed).objects:
            x_min, y_min, x_max, y_max = truth.box
            assert 0 <= x_min < x_max <= 320
            assert 0 <= y_min < y_max <= 192
            assert 0 < truth.visible <= 1
            assert LABELS[truth.class_id] == truth.label


def test_every_label_appears() -> None:
    assert {truth.label for seed in SEEDS for truth in a_view(seed).objects} == set(LABELS)


def test_a_box_ends_where_its_object_ends() -> None:
    """Beyond the four edges of a whole object that stands alone, the depth is that of the ground or sky."""
    checked = 0
    for seed in SEEDS:
        view = a_view(seed)
        ground = ground_depth(aim(build_world(seed), 0.0, 320, 192))
        nearer = view.depth_m < 0.98 * np.where(ground > 400, np.inf, ground)
        for truth in view.objects:
            left, top, right, bottom = (round(edge) for edge in truth.box)
            around = nearer[max(0, top - 3) : bottom + 3, max(0, left - 3) : right + 3].copy()
            inside = nearer[top:bottom, left:right]
            if truth.visible < 1 or min(sides(truth)) < 12 or min(left, top, 320 - right, 192 - bottom) < 4:
                continue
            around[2:-2, 2:-2] = False
            if around.any():
                continue  # something else stands beside it
            checked += 1
            rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
            assert columns[0] <= 1
            assert columns[-1] >= inside.shape[1] - 2
            assert rows[0] <= 1
            assert rows[-1] >= inside.shape[0] - 4  # the foot touches the ground: no step in depth there
    assert checked >= 10


def test_the_ground_is_as_far_as_the_camera_height_says() -> None:
    seed = 7
    camera = aim(build_world(seed), 0.0, 320, 192)
    view = a_view(seed)
    down = camera.turn[1] @ np.array([camera.across[160], camera.up[191], 1.0])
    expected = -camera.place[1] / down
    bottom = view.depth_m[191]
    assert np.isclose(bottom, expected, rtol=0.05).any()
    assert (bottom <= expected * 1.1).all()


def test_the_sky_is_infinitely_far_and_above() -> None:
    for seed in SEEDS:
        far = np.isinf(a_view(seed).depth_m)
        assert far[0].any()
        assert not far[-1].any()


@pytest.mark.parametrize("seed", range(500, 506))
def test_nothing_jumps_from_frame_to_frame(seed: int) -> None:
    """In a tenth of a second a whole thing moves less than its size, and none pops up in the open."""
    before = {truth.number: truth for truth in a_view(seed, 4.0).objects}
    for step in range(1, 16):
        now = {truth.number: truth for truth in a_view(seed, 4.0 + step * FRAME_S).objects}
        for number, truth in now.items():
            if number in before and min(truth.visible, before[number].visible) > 0.95:
                moved = max(abs(a - b) for a, b in zip(truth.box, before[number].box, strict=True))
                assert moved <= max(12.0, 0.6 * max(*sides(truth), *sides(before[number])))
            elif number not in before and truth.visible > 0.5:
                at_the_edge = min(truth.box[0], truth.box[1], 320 - truth.box[2], 192 - truth.box[3]) < 1
                assert at_the_edge or any(beside(truth, other) for other in before.values())
        before = now


@pytest.mark.parametrize("seed", range(500, 530))
def test_nobody_walks_through_another(seed: int) -> None:
    """At any time, the middles of two things are farther apart than the slimmer one is wide."""
    standing = build_world(seed).standing
    for t_s in np.arange(0, 40, 0.5):
        places = [one.motion.at(float(t_s)) for one in standing]
        for (a, pose_a), (b, pose_b) in combinations(zip(standing, places, strict=True), 2):
            slim = min(min(radius for _, radius in one.thing.discs) for one in (a, b))
            assert np.hypot(pose_a.x - pose_b.x, pose_a.z - pose_b.z) > slim


@pytest.mark.parametrize("seed", range(500, 560))
def test_a_lane_begins_and_ends_out_of_sight(seed: int) -> None:
    world = build_world(seed)
    for one in world.standing:
        if isinstance(one.motion, Lane):
            for x, z in (one.motion.sweep()[0], one.motion.sweep()[-1]):
                assert z < 0 or abs(np.arctan2(x, z)) > np.radians(32 + 5)


def test_a_stream_has_no_end() -> None:
    late = a_view(t_s=86_400.0)
    assert late.objects
    assert np.isfinite(late.depth_m).any()
