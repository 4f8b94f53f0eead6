"""The committed demo models: whole, small, described, and as good as their card says."""

from pathlib import Path

import pytest

from processors.onnx import OnnxModel
from producers.synthetic import LABELS
from training.evaluate import Report, check_sums, evaluate, lines, table
from training.onnx_files import DEPTH, DETECTOR, TimedModel
from training.video import steadiness

FOUR_MB = 4_000_000


@pytest.fixture(scope="module")
def report() -> Report:
    return evaluate(40)


def test_the_files_are_the_ones_that_were_measured() -> None:
    check_sums()


@pytest.mark.parametrize("path", [DETECTOR, DEPTH], ids=["detector", "depth"])
def test_a_file_is_small(path: Path) -> None:
    assert path.stat().st_size <= FOUR_MB


def test_the_detector_says_what_it_knows() -> None:
    model = OnnxModel(DETECTOR)
    assert model.literal("names") == dict(enumerate(LABELS))
    assert model.literal("imgsz") == [192, 320]
    assert model.output_shape == (1, 4 + len(LABELS), 1260)
    assert 0.2 < (model.number("confidence") or 0) < 0.8


def test_the_depth_model_says_what_it_gives() -> None:
    model = OnnxModel(DEPTH)
    assert (model.metadata["kind"], model.metadata["unit"], model.number("scale")) == ("METRIC", "m", 1)
    assert model.output_shape == (1, 1, 192, 320)


def test_objects_are_found_on_scenes_nobody_trained_on(report: Report) -> None:
    assert report.large.at_50 >= 0.95
    assert report.small.at_50 >= 0.94
    assert report.large.at_50_95 >= 0.77
    assert report.small.recall(report.confidence) >= 0.9
    assert report.small.precision(report.confidence) >= 0.9


def test_depth_is_right_on_scenes_nobody_trained_on(report: Report) -> None:
    assert report.depth.scaled <= 0.055
    assert report.depth.solid <= 0.12
    assert report.depth.scaled < report.prior.scaled / 3


def test_boxes_and_depth_hold_still_in_a_film() -> None:
    film = steadiness(TimedModel(DETECTOR), TimedModel(DEPTH), (4_000_000,), seconds=2.0)
    assert film.continued >= 0.95
    assert film.pulse <= 0.02


def test_the_table_names_every_target(report: Report) -> None:
    shown = table(lines(report), "few")
    assert shown.row_count == len(lines(report))
    assert sum(1 for line in lines(report) if line.limit is not None) == 11
