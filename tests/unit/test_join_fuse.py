from dataclasses import replace

import numpy as np
import pytest

from processors.join.fuse import fuse, outcome_of
from schemas.codec import SchemaBook, decode, encode
from schemas.records import Depth, Detections, Fused, Missing, Outcome, Side, Status
from tests.unit.builders import START, a_map, an_object, depth_of, detections_of, origin_at

OK, EXPIRED, FAILED = Status.OK, Status.EXPIRED, Status.FAILED
LOST = "lost: no record"


def fused(detections: Detections | None, depth: Depth | None) -> Fused:
    absent = {
        side: LOST for side, half in ((Side.DETECTION, detections), (Side.DEPTH, depth)) if half is None
    }
    return fuse(origin_at(7), detections, depth, absent=absent, fused_at=START)


@pytest.mark.parametrize(
    ("detection", "depth", "outcome"),
    [
        (OK, OK, Outcome.FUSED),
        (OK, EXPIRED, Outcome.PARTIAL),
        (EXPIRED, OK, Outcome.PARTIAL),
        (OK, None, Outcome.PARTIAL),
        (None, OK, Outcome.PARTIAL),
        (OK, FAILED, Outcome.DEAD_LETTER),
        (FAILED, OK, Outcome.DEAD_LETTER),
        (FAILED, EXPIRED, Outcome.DEAD_LETTER),
        (FAILED, None, Outcome.DEAD_LETTER),
        (EXPIRED, EXPIRED, Outcome.EXPIRED),
        (EXPIRED, None, Outcome.EXPIRED),
        (None, EXPIRED, Outcome.EXPIRED),
        (None, None, Outcome.LOST),
    ],
)
def test_the_outcome_follows_from_what_the_sides_said(
    detection: Status | None, depth: Status | None, outcome: Outcome
) -> None:
    detections_half = detections_of(7, status=detection) if detection else None
    depth_half = depth_of(7, status=depth) if depth else None

    assert outcome_of(detections_half, depth_half) is outcome
    assert fused(detections_half, depth_half).outcome is outcome


def test_each_object_gets_the_depth_under_its_box() -> None:
    values = np.full((48, 64), 9.0, np.float32)
    values[:, 32:] = 4.0
    objects = [an_object((0, 0, 300, 480), score=0.9), an_object((330, 0, 640, 480), score=0.8)]

    result = fused(detections_of(7, objects=objects), depth_of(7, map=a_map(values)))

    assert [found.depth.median if found.depth else None for found in result.objects] == pytest.approx(
        [9.0, 4.0], abs=1e-3
    )


def test_a_fused_frame_misses_nothing_and_carries_both_sides() -> None:
    detections, depth = detections_of(7, objects=[an_object()]), depth_of(7)

    result = fused(detections, depth)

    assert result.missing == ()
    assert result.map == depth.map
    assert (result.detection_model, result.detection_timing) == (detections.model, detections.timing)
    assert (result.depth_model, result.depth_timing) == (depth.model, depth.timing)
    assert result.head() == detections.head()


def test_objects_without_a_map_are_kept_without_depth() -> None:
    result = fused(detections_of(7, objects=[an_object()]), None)

    assert [(found.label, found.depth) for found in result.objects] == [("crate", None)]
    assert result.missing == (Missing(Side.DEPTH, LOST),)


def test_missing_says_which_side_and_why() -> None:
    result = fused(
        detections_of(7, status=EXPIRED, reason="0.9 s old, budget 0.5 s"), depth_of(7, status=FAILED)
    )

    assert result.missing == (
        Missing(Side.DETECTION, "expired: 0.9 s old, budget 0.5 s"),
        Missing(Side.DEPTH, "failed"),
    )


def test_a_map_that_does_not_decode_leaves_the_objects_without_depth() -> None:
    broken = replace(a_map(np.ones((2, 4), np.float32)), data=b"\x89PNG but no more")

    result = fused(detections_of(7, objects=[an_object()]), depth_of(7, map=broken))

    assert result.outcome is Outcome.PARTIAL
    assert result.map is None
    assert [found.depth for found in result.objects] == [None]
    assert [(why.side, why.reason.split(":")[0]) for why in result.missing] == [(Side.DEPTH, "failed")]


def test_a_map_of_another_size_than_it_says_is_no_result() -> None:
    wrong = replace(a_map(np.ones((2, 4), np.float32)), width=400)

    assert fused(detections_of(7, objects=[an_object()]), depth_of(7, map=wrong)).outcome is Outcome.PARTIAL


def test_a_frame_without_objects_does_not_pay_for_its_map() -> None:
    broken = replace(a_map(np.ones((2, 4), np.float32)), data=b"never looked at")

    result = fused(detections_of(7), depth_of(7, map=broken))

    assert (result.outcome, result.map) == (Outcome.FUSED, broken)


@pytest.mark.parametrize("sides", [(True, True), (True, False), (False, True), (False, False)])
def test_every_outcome_fits_its_schema(sides: tuple[bool, bool]) -> None:
    result = fused(
        detections_of(7, objects=[an_object()]) if sides[0] else None, depth_of(7) if sides[1] else None
    )

    assert decode(encode(result), Fused, SchemaBook()) == result
