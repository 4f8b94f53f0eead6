"""Relative maps on one scale over time: what is taken out, what is left alone, and where it begins anew."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from framefuse.errors import ModelUnusable
from framefuse.pictures.decoding import Values, decode_map
from framefuse.settings import load
from framefuse.types import Prepared
from processors.depth.stabilising import LONGEST_GAP, Stabiliser
from processors.depth.stage import DepthEstimation, DepthSettings
from schemas.records import Depth, Derived, Stabilisation
from tests.unit.builders import START, origin_at
from tests.unit.models import a_depth_net
from tests.unit.test_depth_stage import METRES, RELATIVE, a_ramp

HEIGHT, WIDTH = 96, 128


def a_street(wall_at: float = 0.6) -> Values:
    """Near at the bottom, a wall from `wall_at` of its width on, some texture."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH] / np.array([HEIGHT, WIDTH])[:, None, None]
    depth = 0.1 + 0.8 * y**2 + 0.05 * np.sin(9 * x + 4 * y)
    return np.asarray(np.where(x > wall_at, np.maximum(depth, 0.5), depth), np.float32)


def a_cellar() -> Values:
    """Another place: near at the left, with pillars."""
    _, x = np.mgrid[0:HEIGHT, 0:WIDTH] / np.array([HEIGHT, WIDTH])[:, None, None]
    return np.asarray(0.9 - 0.8 * x + 0.3 * (np.sin(40 * x) > 0.3), np.float32)


def with_a_van(values: Values, at: int) -> Values:
    """A near thing over a third of the width."""
    values = values.copy()
    values[20:90, at : at + WIDTH // 3] = 1.4
    return values


def flickering(values: Values, number: int) -> tuple[Values, float, float]:
    """The map as a model gives it that has no scale of its own, and its scale and shift; none at first."""
    rng = np.random.default_rng(number)
    scale, shift = (rng.uniform(0.6, 1.6), rng.uniform(-0.3, 0.3)) if number else (1.0, 0.0)
    return (values * scale + shift).astype(np.float32), scale, shift


def origin(number: int, **changes: Any) -> Derived:
    """Of the frame with this sequence and offset, ten a second."""
    changes = {"captured_at": START + number * timedelta(seconds=0.1)} | changes
    return replace(origin_at(number), **changes)


def done(answer: tuple[Values, Stabilisation | None]) -> Stabilisation:
    assert answer[1] is not None
    return answer[1]


def test_a_scale_and_shift_that_change_from_map_to_map_are_taken_out() -> None:
    stabiliser, still = Stabiliser(), a_street()
    for number in range(40):
        values, _ = stabiliser.stabilise(origin(number), flickering(still, number)[0])
        np.testing.assert_allclose(values, still, atol=0.01)


def test_the_models_own_values_come_back_from_what_the_map_says() -> None:
    stabiliser = Stabiliser()
    for number in range(5):
        own, _, _ = flickering(a_street(), number)
        values, stabilised = stabiliser.stabilise(origin(number), own)
        assert stabilised is not None
        assert stabilised.since == 0
        np.testing.assert_allclose((values - stabilised.shift) / stabilised.scale, own, atol=1e-5)


def test_a_large_thing_that_moves_through_does_not_bend_the_rest() -> None:
    stabiliser = Stabiliser()
    for number in range(40):
        seen = with_a_van(a_street(), 2 * number)
        own, scale, shift = flickering(seen, number)
        stabilised = done(stabiliser.stabilise(origin(number), own))
        assert stabilised.since == 0
        assert stabilised.scale * scale == pytest.approx(1, abs=0.02)
        assert stabilised.scale * shift + stabilised.shift == pytest.approx(0, abs=0.02)


def test_a_thing_that_fills_most_of_the_picture_as_it_comes_in_keeps_the_scale() -> None:
    """It is in the way of the running reference; the map before shows it nearly as large."""
    stabiliser = Stabiliser()
    for number in range(40):
        seen = a_street()
        seen[10:, : 2 * number] = 1.4
        own, scale, _ = flickering(seen, number)
        stabilised = done(stabiliser.stabilise(origin(number), own))
        assert stabilised.since == 0
        assert stabilised.scale * scale == pytest.approx(1, abs=0.03)


def test_a_camera_that_turns_keeps_the_scale_from_map_to_map() -> None:
    """By 3 % of the picture's width a frame; the running reference alone would be left behind."""
    wide = np.concatenate([a_street(), a_street()[:, ::-1]] * 2, axis=1)
    stabiliser, before = Stabiliser(), 1.0
    for number in range(60):
        own, scale, _ = flickering(wide[:, 4 * number : 4 * number + WIDTH], number)
        stabilised = done(stabiliser.stabilise(origin(number), own))
        assert stabilised.since == 0
        assert stabilised.scale * scale == pytest.approx(before, rel=0.05)
        before = stabilised.scale * scale


def test_noise_of_the_model_does_not_flatten_the_maps_over_time() -> None:
    stabiliser, still = Stabiliser(), a_street()
    noise = np.random.default_rng(5).normal(0, 0.06, (60, *still.shape)).astype(np.float32)
    for number in range(600):
        stabilised = done(stabiliser.stabilise(origin(number), still + noise[number % 60]))
    assert stabilised.since == 0
    assert stabilised.scale == pytest.approx(1, abs=0.04)
    assert stabilised.shift == pytest.approx(0, abs=0.04)


def test_another_scene_begins_a_new_scale_with_the_models_own_values() -> None:
    stabiliser = Stabiliser()
    stabiliser.stabilise(origin(0), a_street())
    values, stabilised = stabiliser.stabilise(origin(1), a_cellar())
    np.testing.assert_array_equal(values, a_cellar())
    assert stabilised == Stabilisation(1.0, 0.0, 1)
    assert done(stabiliser.stabilise(origin(2), 2 * a_cellar())).since == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"run_id": "01970000-0000-7000-8000-000000000000"},
        {"captured_at": START + LONGEST_GAP + timedelta(seconds=0.2)},
        {"captured_at": START - timedelta(seconds=1)},
        {"stream_id": "yard"},
        {"frame": replace(origin_at(2).frame, partition=1)},
        {"sequence": 0},
    ],
    ids=["run", "gap", "clock set back", "stream", "partition", "sequence"],
)
def test_what_does_not_follow_begins_a_new_scale(changes: dict[str, Any]) -> None:
    stabiliser = Stabiliser()
    stabiliser.stabilise(origin(0), a_street())
    stabiliser.stabilise(origin(1), 2 * a_street())
    follower = origin(2, **changes)
    assert stabiliser.stabilise(follower, 3 * a_street())[1] == Stabilisation(1.0, 0.0, follower.sequence)


def test_a_map_of_another_size_begins_a_new_scale() -> None:
    stabiliser = Stabiliser()
    stabiliser.stabilise(origin(0), a_street())
    assert done(stabiliser.stabilise(origin(1), a_street()[:, :64])).since == 1


def test_frames_that_are_read_again_get_the_same_answers() -> None:
    stabiliser = Stabiliser()
    maps = [flickering(with_a_van(a_street(), 3 * number), number)[0] for number in range(12)]
    first = [stabiliser.stabilise(origin(number), maps[number]) for number in range(12)]
    for begin in (8, 3, 11):
        again = [stabiliser.stabilise(origin(number), maps[number]) for number in range(begin, 12)]
        for (values, stabilised), (other, said) in zip(first[begin:], again, strict=True):
            assert stabilised == said
            np.testing.assert_array_equal(values, other)


def test_frames_read_again_from_further_back_than_is_remembered_begin_a_new_scale() -> None:
    stabiliser = Stabiliser()
    for number in range(80):
        stabiliser.stabilise(origin(number), a_street())
    assert done(stabiliser.stabilise(origin(4), a_street())).since == 4


def test_streams_do_not_touch_each_other() -> None:
    stabiliser = Stabiliser()
    for number in range(5):
        gate, _ = stabiliser.stabilise(origin(2 * number), flickering(a_street(), number)[0])
        yard, _ = stabiliser.stabilise(
            origin(2 * number + 1, stream_id="yard"), flickering(a_cellar(), number)[0]
        )
        np.testing.assert_allclose(gate, a_street(), atol=0.01)
        np.testing.assert_allclose(yard, a_cellar(), atol=0.01)


@pytest.mark.parametrize("number", [0.0, 0.7, np.nan])
def test_a_map_that_is_all_the_same_is_left_alone_and_forgotten(number: float) -> None:
    stabiliser, same = Stabiliser(), np.full((HEIGHT, WIDTH), number, np.float32)
    assert stabiliser.stabilise(origin(0), same)[1] is None
    stabiliser.stabilise(origin(1), a_street())
    values, stabilised = stabiliser.stabilise(origin(2), same)
    assert stabilised is None
    np.testing.assert_array_equal(values, same)
    assert done(stabiliser.stabilise(origin(3), 2 * a_street())).since == 1


def test_a_sky_without_values_is_no_part_of_the_fit_and_stays_without() -> None:
    stabiliser, street = Stabiliser(), a_street()
    street[:40] = np.nan
    stabiliser.stabilise(origin(0), street)
    values, stabilised = stabiliser.stabilise(origin(1), street * 2)
    np.testing.assert_allclose(values, street, atol=0.01)
    assert stabilised is not None


def test_a_frame_that_was_sent_again_is_left_alone() -> None:
    stabiliser = Stabiliser()
    stabiliser.stabilise(origin(0), a_street())
    late = origin(1, sequence=0, attempt=1)
    assert stabiliser.stabilise(late, 2 * a_street())[1] is None
    assert done(stabiliser.stabilise(origin(2), 2 * a_street())).since == 0


def maps_of(stage: DepthEstimation) -> list[Depth]:
    """Two frames, half a second apart: the second twice as bright as the first."""
    photos = [a_ramp(0), a_ramp(1)]
    inputs = [stage.prepare(photo) for photo in photos]
    answers = stage.process(
        [Prepared(photo, inputs[0] / np.float32(2 - at), 0.0, 0.0) for at, photo in enumerate(photos)]
    )
    return [answer for answer in answers if isinstance(answer, Depth)]


def test_the_stage_does_it_only_when_asked_and_every_map_says_so(tmp_path: Path) -> None:
    model = a_depth_net(tmp_path / "z.onnx", metadata=RELATIVE)
    as_given = maps_of(DepthEstimation(load(DepthSettings, model=model)))
    assert [one.map.stabilised for one in as_given if one.map] == [None, None]

    first, second = maps_of(DepthEstimation(load(DepthSettings, model=model, stabilise=True)))
    assert first.map is not None
    assert second.map is not None
    assert second.map.stabilised is not None
    assert second.map.stabilised.scale == pytest.approx(0.5, rel=1e-3)
    np.testing.assert_allclose(decode_map(second.map), decode_map(first.map), atol=1e-3)
    assert first.stats is not None
    assert second.stats is not None
    assert second.stats.median == pytest.approx(first.stats.median, abs=1e-3)


def test_metres_are_never_changed(tmp_path: Path) -> None:
    model = a_depth_net(tmp_path / "z.onnx", metadata=METRES)
    with pytest.raises(ModelUnusable, match="gives m, which are never changed: leave out --stabilise"):
        DepthEstimation(load(DepthSettings, model=model, stabilise=True))
