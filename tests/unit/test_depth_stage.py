from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from framefuse.errors import ModelUnusable, Poison
from framefuse.pictures.decoding import decode_map
from framefuse.settings import load
from framefuse.types import Prepared, Record
from processors.depth.foreign import InputPreset
from processors.depth.meaning import Meaning, values_of
from processors.depth.stage import DepthEstimation, DepthSettings
from schemas.records import Depth, DepthKind, Frame, Status
from tests.unit.builders import a_frame, a_record, origin_at
from tests.unit.models import a_depth_net, a_detector

METRES = {"kind": "METRIC", "unit": "m", "scale": "10"}
RELATIVE = {"kind": "RELATIVE_INVERSE"}
IN_METRES = Meaning(DepthKind.METRIC, "m", 10.0, 0.0, far=100.0, step=0.005)


def a_stage(tmp_path: Path, metadata: dict[str, str] | None = None, **file: Any) -> DepthEstimation:
    path = a_depth_net(tmp_path / "z.onnx", metadata=METRES if metadata is None else metadata, **file)
    return DepthEstimation(load(DepthSettings, model=path))


FOREIGN = {"map_kind": DepthKind.METRIC, "map_unit": "m", "input": InputPreset.IMAGENET}
FREE = {
    **RELATIVE,
    "imgsz": "[28, 28]",
    "keep_aspect": "true",
    "multiple_of": "14",
    "resample": "bicubic",
}


def a_ramp(offset: int = 0, *, width: int = 640, height: int = 320) -> Record[Frame]:
    """Black at the left, white at the right."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[:] = np.linspace(0, 255, width, dtype=np.uint8)[None, :, None]
    image = cv2.imencode(".jpg", picture)[1].tobytes()
    return a_record(
        a_frame(sequence=offset, image=image, width=width, height=height), "framefuse.frames", offset
    )


def answer(stage: DepthEstimation, photo: Record[Frame]) -> Depth:
    (depth,) = stage.process([Prepared(photo, stage.prepare(photo), 3.0, 4.0)])
    assert isinstance(depth, Depth)
    return depth


def test_a_map_covers_the_whole_picture_at_the_models_resolution(tmp_path: Path) -> None:
    depth = answer(a_stage(tmp_path), a_ramp())
    assert depth.status is Status.OK
    assert depth.map is not None
    assert (depth.map.width, depth.map.height) == (64, 32)
    assert (depth.map.kind, depth.map.unit) == (DepthKind.METRIC, "m")
    middle = decode_map(depth.map)[16]
    np.testing.assert_allclose(middle[1:], np.linspace(0, 10, 64)[1:], atol=0.2)


def test_stats_model_and_times_come_with_the_map(tmp_path: Path) -> None:
    depth = answer(a_stage(tmp_path), a_ramp())
    assert depth.stats is not None
    assert depth.stats.median == pytest.approx(5.0, abs=0.2)
    assert depth.model is not None
    assert depth.model.name == "z.onnx"
    assert depth.timing is not None
    assert (depth.timing.queue_ms, depth.timing.preprocess_ms) == (3.0, 4.0)


def test_a_relative_map_keeps_its_zero_and_has_no_unit(tmp_path: Path) -> None:
    depth = answer(a_stage(tmp_path, RELATIVE), a_ramp())
    assert depth.map is not None
    assert depth.stats is not None
    assert (depth.map.kind, depth.map.unit) == (DepthKind.RELATIVE_INVERSE, "")
    assert depth.stats.valid_ratio == 1.0
    assert np.nanmax(decode_map(depth.map)) <= 1.0


def test_a_small_picture_is_stretched_too(tmp_path: Path) -> None:
    depth = answer(a_stage(tmp_path), a_ramp(width=3, height=2))
    assert depth.map is not None
    assert (depth.map.width, depth.map.height) == (64, 32)


def test_a_batch_has_one_answer_a_record_in_order(tmp_path: Path) -> None:
    stage = a_stage(tmp_path, batch="batch")
    batch = [Prepared(photo, stage.prepare(photo), 0.0, 0.0) for photo in map(a_ramp, range(5))]
    found = [depth.frame.offset for depth in stage.process(batch) if isinstance(depth, Depth)]
    assert found == [0, 1, 2, 3, 4]


def test_pictures_of_several_sizes_in_a_batch_have_maps_of_their_own_aspect_in_order(tmp_path: Path) -> None:
    stage = a_stage(tmp_path, FREE, size=("height", "width"), batch="batch")
    photos = [a_ramp(0), a_ramp(1), a_ramp(2, width=100, height=200), a_ramp(3)]
    answers = stage.process([Prepared(photo, stage.prepare(photo), 0.0, 0.0) for photo in photos])
    maps = [answer.map for answer in answers if isinstance(answer, Depth)]
    assert [(one.width, one.height) for one in maps if one] == [(56, 28), (56, 28), (28, 56), (56, 28)]
    assert [one.frame.offset for one in answers if isinstance(one, Depth)] == [0, 1, 2, 3]


def test_a_file_that_says_nothing_works_with_what_the_user_says(tmp_path: Path) -> None:
    path = a_depth_net(tmp_path / "foreign.onnx")
    stage = DepthEstimation(load(DepthSettings, model=path, **FOREIGN))
    depth = answer(stage, a_ramp())
    assert depth.map is not None
    assert (depth.map.kind, depth.map.unit) == (DepthKind.METRIC, "m")
    white = stage.prepare(a_ramp())[0, :, 0, -1]
    np.testing.assert_allclose(
        white, [(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225], atol=0.1
    )


@pytest.mark.parametrize(
    ("metadata", "said", "reason"),
    [
        (
            {},
            {"map_kind": "METRIC", "map_unit": "m"},
            r"add --map-kind, --map-unit .* and --input plain\|imagenet",
        ),
        (
            {},
            {"map_kind": "METRIC", "input": "plain"},
            "--map-kind METRIC was said and no unit.*add --map-unit m",
        ),
        ({"kind": "METRIC"}, {}, "metadata says kind METRIC and no unit; .* add --map-unit m"),
        ({}, {**FOREIGN, "map_unit": "furlong"}, "--map-unit furlong was said, expected m; .*'scale'"),
        ({}, {**FOREIGN, "map_kind": "RELATIVE_INVERSE"}, "RELATIVE_INVERSE has no unit: leave out --map-u"),
        ({"unit": "m"}, {"map_kind": "RELATIVE_INVERSE", "input": "plain"}, "says unit m, and --map-kind"),
        (
            METRES,
            {"map_kind": "RELATIVE_INVERSE"},
            "says kind METRIC, the setting RELATIVE_INVERSE: leave out --map-kind",
        ),
        (FREE, {"input": "plain"}, "its metadata says how pictures are made: leave out --input"),
    ],
)
def test_what_the_user_says_must_be_enough_and_not_against_the_file(
    tmp_path: Path, metadata: dict[str, str], said: dict[str, Any], reason: str
) -> None:
    path = a_depth_net(tmp_path / "z.onnx", metadata=metadata)
    with pytest.raises(ModelUnusable, match=reason):
        DepthEstimation(load(DepthSettings, model=path, **said))


def test_nan_is_poison_for_its_record_alone(tmp_path: Path) -> None:
    stage = a_stage(tmp_path)
    batch = [Prepared(photo, stage.prepare(photo), 0.0, 0.0) for photo in map(a_ramp, range(2))]
    batch[0].input[0, 0, 5, 5] = np.nan
    bad, good = stage.process(batch)
    assert isinstance(bad, Poison)
    assert isinstance(good, Depth)


def test_sky_and_what_lies_beyond_the_models_range_has_no_value() -> None:
    output = np.array([[[0.5, np.inf, 10.0, 9.99, 0.0, -1.0]]], np.float32)
    values = values_of(output, IN_METRES)
    assert values is not None
    np.testing.assert_allclose(values, [[5.0, np.nan, np.nan, 99.9, np.nan, np.nan]], rtol=1e-6)


def test_a_large_map_is_kept_at_1024_without_inventing_distances() -> None:
    output = np.where(np.arange(3000) < 1500, 1.0, 5.0).astype(np.float32)[None].repeat(400, axis=0)
    values = values_of(output, IN_METRES)
    assert values is not None
    assert values.shape == (137, 1024)
    assert set(np.unique(values).tolist()) == {10.0, 50.0}


def test_a_refused_frame_has_a_status_a_reason_and_nothing_else(tmp_path: Path) -> None:
    answer = a_stage(tmp_path).refused(origin_at(4), Status.FAILED, "cut off")
    assert answer == Depth(**origin_at(4).head(), status=Status.FAILED, reason="cut off")


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({}, "'kind' is nothing, expected RELATIVE_INVERSE or METRIC"),
        ({"kind": "DISPARITY"}, "'kind' is DISPARITY"),
        ({"kind": "METRIC"}, "a METRIC map has a unit"),
        ({"kind": "METRIC", "unit": "furlong"}, "'unit' is 'furlong', expected m"),
        ({"kind": "METRIC", "unit": "m", "task": "pose"}, "its task is pose: expected a depth model"),
        ({"kind": "RELATIVE_INVERSE", "unit": "m"}, "a METRIC map has a unit, others none"),
        ({"kind": "METRIC", "unit": "m", "scale": "0"}, "'scale' is 0, expected a positive number"),
        ({"kind": "METRIC", "unit": "m", "scale": "one"}, "'scale' is 'one', expected a number"),
    ],
)
def test_a_model_that_does_not_say_what_it_gives_is_refused(
    tmp_path: Path, metadata: dict[str, str], reason: str
) -> None:
    with pytest.raises(ModelUnusable, match=reason):
        a_stage(tmp_path, metadata)


@pytest.mark.parametrize("size", [(320, 320), ("height", "width")])
@pytest.mark.parametrize("output", [(84, 2100), (300, 6), (16, 16), (1281, 1281)])
def test_an_output_that_cannot_be_a_map_of_the_picture_is_refused_whatever_the_user_says(
    tmp_path: Path, size: tuple[int | str, int | str], output: tuple[int, int]
) -> None:
    head = np.zeros(output, np.float32)
    path = a_detector(tmp_path / "yolo.onnx", head, size=size, metadata={"imgsz": "[320, 320]"})
    found = f"yolo.onnx gives 1×{output[0]}×{output[1]} for one picture of 320×320: expected a depth map"
    with pytest.raises(ModelUnusable, match=found):
        DepthEstimation(load(DepthSettings, model=path, **FOREIGN))


@pytest.mark.parametrize("output", [(20, 20), (160, 160), (1280, 1280), (320, 160)])
def test_a_map_may_be_smaller_or_larger_than_its_picture(tmp_path: Path, output: tuple[int, int]) -> None:
    path = a_detector(tmp_path / "z.onnx", np.zeros(output, np.float32), size=(320, 320))
    DepthEstimation(load(DepthSettings, model=path, **FOREIGN))
