"""The Python API on the real broker: what a program of users does with results."""

from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np
import pytest

from framefuse.broker.home import RunningBroker
from framefuse.client import ResultSubscriber, Start, draw
from framefuse.errors import BadInput
from schemas.records import Fused
from tests.parts.logs import Logs
from tests.parts.results import a_fused
from tests.unit.builders import a_frame

pytestmark = pytest.mark.broker


@pytest.fixture
def logs(broker: RunningBroker, topic_prefix: str) -> Iterator[Logs]:
    with Logs(broker.bootstrap, topic_prefix) as logs:
        yield logs


def spread(sequence: int, partition: int) -> Fused:
    """A result of a stream that is spread over partitions."""
    return replace(a_fused(sequence, partition=partition), sequence=sequence)


def test_the_picture_of_a_result_comes_on_request_and_can_be_drawn_on(logs: Logs) -> None:
    pixels = np.full((48, 64, 3), 120, np.uint8)
    jpeg = cv2.imencode(".jpg", pixels)[1].tobytes()
    logs.publish([a_frame("gate", n, image=jpeg, width=64, height=48) for n in range(3)])
    logs.retain(logs.frames, 1)
    logs.fuse(replace(one, frame=replace(one.frame, topic=logs.frames)) for one in map(a_fused, range(3)))

    with ResultSubscriber(start=Start.BEGINNING, settings=logs.kafka) as results:
        found = [results.get(15.0) for _ in range(3)]
        pictures = [results.picture(fused) for fused in found if fused]

    assert [picture is None for picture in pictures] == [True, False, False]
    image, fused = pictures[2], found[2]
    assert image is not None
    assert fused is not None
    assert abs(int(image.mean()) - 120) < 2
    assert not np.array_equal(draw(image, fused), image)


def test_a_spread_stream_is_put_in_order_on_request(logs: Logs) -> None:
    logs.fuse([spread(n, 1) for n in range(1, 200, 2)], partition=1)
    logs.fuse([spread(n, 0) for n in range(0, 200, 2)], partition=0)

    with ResultSubscriber(start=Start.BEGINNING, in_order=True, settings=logs.kafka) as results:
        found = [results.get(15.0) for _ in range(200)]
        assert results.late == 0

    assert [fused.sequence for fused in found if fused] == list(range(200))


def test_a_gap_is_given_up_when_patience_ends(logs: Logs) -> None:
    logs.fuse([spread(0, 0), spread(3, 0)], partition=0)
    logs.fuse([spread(1, 1)], partition=1)

    with ResultSubscriber(
        start=Start.BEGINNING, in_order=True, patience_s=2.0, settings=logs.kafka
    ) as results:
        assert [one.sequence for one in (results.get(15.0), results.get(1.0)) if one] == [0, 1]
        assert results.get(0.2) is None
        late = results.get(5.0)
        assert late is not None
        assert late.sequence == 3


def test_a_group_cannot_be_in_order(logs: Logs) -> None:
    with pytest.raises(BadInput, match="share the partitions"):
        ResultSubscriber(group="mine", in_order=True, settings=logs.kafka)
