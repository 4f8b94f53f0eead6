"""From the command line to the fused topic with the demo models, against the truth of the renderer."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from framefuse import broker as embedded
from framefuse.broker import RunningBroker
from producers.synthetic import Truth, View, render
from tests.parts.pipeline import Pipeline, Rows, a_pipeline, assert_exactly_one_outcome, frames

pytestmark = pytest.mark.broker
WIDTH, HEIGHT, FPS, SEED = 640, 384, 4.0, 20_003
COUNT = 16


@pytest.fixture
def pipeline(broker: RunningBroker, topic_prefix: str, tmp_path: Path) -> Iterator[Pipeline]:
    with a_pipeline(broker.bootstrap, topic_prefix, tmp_path) as pipeline:
        yield pipeline


def test_boxes_and_distances_of_a_drawn_scene_are_those_it_was_drawn_with(pipeline: Pipeline) -> None:
    pipeline.use_demo_models()
    for stage in ("detection", "depth", "join"):
        pipeline.start(stage)

    address = f"synthetic:?seed={SEED}&size={WIDTH}x{HEIGHT}&fps={FPS:g}&seconds={COUNT / FPS:g}"
    published = pipeline.run("publish", address, "--stream", "yard", "--partition-by", "frame", "--wait")
    outcomes = pipeline.oracle.outcomes(at_least=COUNT)

    assert published.returncode == 0, published.stderr
    assert_exactly_one_outcome(outcomes, COUNT)
    wanted, found, errors = compare(outcomes)
    assert wanted >= 3 * COUNT, "the scene has too few objects to judge by"
    assert found / wanted >= 0.85
    assert np.median(errors) <= 0.20
    assert np.mean(errors) <= 0.25


def compare(outcomes: Rows) -> tuple[int, int, list[float]]:
    """Objects that are plain to see, how many were found, and the relative errors of their distance."""
    wanted = found = 0
    errors: list[float] = []
    for row in sorted((row for rows in outcomes.values() for row in rows), key=lambda row: row["sequence"]):
        view = render(SEED, row["sequence"] / FPS, WIDTH, HEIGHT)
        for truth in view.objects:
            if not plain_to_see(truth):
                continue
            wanted += 1
            match = best(truth, row["objects"])
            if match is not None:
                found += 1
                distance = true_distance(view, match["box"])
                errors.append(abs(match["depth"]["median"] - distance) / distance)
    return wanted, found, errors


def plain_to_see(truth: Truth) -> bool:
    left, top, right, bottom = truth.box
    return truth.visible >= 0.6 and min(right - left, bottom - top) >= 20


def best(truth: Truth, objects: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The found object of the right class that covers the true box."""
    same = [one for one in objects if one["label"] == truth.label and overlap(truth, one["box"]) >= 0.5]
    return max(same, key=lambda one: overlap(truth, one["box"]), default=None)


def overlap(truth: Truth, box: dict[str, float]) -> float:
    """Intersection over union."""
    left, top, right, bottom = truth.box
    width = max(0.0, min(right, box["x_max"]) - max(left, box["x_min"]))
    height = max(0.0, min(bottom, box["y_max"]) - max(top, box["y_min"]))
    areas = (right - left) * (bottom - top) + (box["x_max"] - box["x_min"]) * (box["y_max"] - box["y_min"])
    return width * height / (areas - width * height)


def true_distance(view: View, box: dict[str, float]) -> float:
    """Median of the true depth under a box, as the join takes it of the map."""
    depth = view.depth_m[int(box["y_min"]) : round(box["y_max"]), int(box["x_min"]) : round(box["x_max"])]
    return float(np.median(depth[np.isfinite(depth)]))


def test_a_broker_that_is_killed_and_comes_back_loses_no_acknowledged_frame(
    topic_prefix: str, tmp_path: Path
) -> None:
    data = tmp_path / "kafka"
    started = embedded.start(data, port=0)
    try:
        with a_pipeline(started.bootstrap, topic_prefix, tmp_path) as pipeline:
            for stage in ("detection", "depth", "join"):
                pipeline.start(stage)
            first = pipeline.publish(frames(60))
            pipeline.oracle.outcomes(at_least=first)

            embedded.stop(data, graceful=False)
            embedded.start(data, port=started.port)
            second = pipeline.publish(frames(60))
            outcomes = pipeline.oracle.outcomes(at_least=first + second, patience_s=90.0)

            assert_exactly_one_outcome(outcomes, first + second)
            assert {row["outcome"] for rows in outcomes.values() for row in rows} == {"FUSED"}
    finally:
        embedded.stop(data, graceful=False)
