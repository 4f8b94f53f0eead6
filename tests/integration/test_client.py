"""The Python API on the real broker: what a program of users does with results."""

import asyncio
import inspect
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import get_type_hints

import cv2
import numpy as np
import pytest

from framefuse.aio import PublisherOptions, SubscriberOptions
from framefuse.broker.home import RunningBroker
from framefuse.client import (
    AsyncFramePublisher,
    AsyncResultSubscriber,
    FramePublisher,
    ResultSubscriber,
    Start,
    draw,
)
from framefuse.errors import BadInput, UnreadableImage
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


def test_what_cannot_be_published_is_named_with_what_can(logs: Logs) -> None:
    with FramePublisher("gate", settings=logs.kafka) as publisher:
        with pytest.raises(BadInput, match="a list cannot be published: give H×W×3 uint8 BGR"):
            publisher.publish([[0, 0], [0, 0]])  # type: ignore[arg-type]
        with pytest.raises(BadInput, match="has no time zone"):
            publisher.publish(np.zeros((4, 4, 3), np.uint8), captured_at=datetime(2026, 3, 1, 12))
        with pytest.raises(UnreadableImage, match="54 megapixels"):
            publisher.publish(np.zeros((6000, 9000), np.uint8))
        assert publisher.publish(np.zeros((4, 4, 3), np.uint8)).sequence == 0


def test_options_that_would_do_nothing_are_refused(logs: Logs) -> None:
    with pytest.raises(BadInput, match="for live frames only: add live=True"):
        FramePublisher("gate", freshness_ms=5, settings=logs.kafka)
    with pytest.raises(BadInput, match="start is 'yesterday': expected Start"):
        ResultSubscriber(start="yesterday", settings=logs.kafka)  # type: ignore[arg-type]


def test_asyncio_publishes_in_order_and_tickets_can_be_awaited(logs: Logs) -> None:
    async def publish() -> list[int]:
        async with AsyncFramePublisher("gate", settings=logs.kafka, partition=0) as publisher:
            picture = np.zeros((8, 8, 3), np.uint8)
            tickets = [await publisher.publish(picture) for _ in range(5)]
            await publisher.flush(20.0)
            return [(await ticket).offset for ticket in tickets]

    assert asyncio.run(publish()) == [0, 1, 2, 3, 4]


def test_leaving_ends_a_publish_that_waits_for_workers_who_never_come(logs: Logs) -> None:
    async def publish() -> int:
        async with AsyncFramePublisher("gate", settings=logs.kafka, in_flight=2) as publisher:

            async def for_ever() -> None:
                while True:
                    await publisher.publish(np.zeros((8, 8, 3), np.uint8))

            with pytest.raises(TimeoutError):
                await asyncio.wait_for(for_ever(), 3.0)
        return publisher.publisher.sums.published

    assert asyncio.run(publish()) == 2


def test_before_it_is_entered_one_is_told_to() -> None:
    with pytest.raises(BadInput, match="async with"):
        asyncio.run(AsyncFramePublisher("gate").flush())
    with pytest.raises(BadInput, match="async with"):
        asyncio.run(AsyncResultSubscriber().get())


def test_asyncio_gets_results_while_other_tasks_go_on(logs: Logs) -> None:
    async def subscribe() -> tuple[list[int], int]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)
                ticks += 1

        found: list[int] = []
        async with AsyncResultSubscriber(settings=logs.kafka) as results:
            beside = asyncio.create_task(tick())
            assert await results.get(1.0) is None
            await asyncio.to_thread(logs.fuse, range(3))
            async for fused in results:
                found.append(fused.frame.offset)
                if len(found) == 3:
                    break
            beside.cancel()
        return found, ticks

    found, ticks = asyncio.run(subscribe())
    assert found == [0, 1, 2]
    assert ticks > 20


def test_a_get_that_was_cancelled_loses_nothing(logs: Logs) -> None:
    async def subscribe() -> list[Fused | None]:
        async with AsyncResultSubscriber(settings=logs.kafka) as results:
            for _ in range(3):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.3):
                        await results.get()
            await asyncio.to_thread(logs.fuse, range(4))
            return [await results.get(0.0 if at % 2 else 15.0) or await results.get(15.0) for at in range(4)]

    assert [one.frame.offset for one in asyncio.run(subscribe()) if one] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("sync", "options"), [(FramePublisher, PublisherOptions), (ResultSubscriber, SubscriberOptions)]
)
def test_the_options_are_the_same_in_asyncio(sync: type, options: type) -> None:
    parameters = inspect.signature(sync).parameters.values()
    keywords = {one.name: one.annotation for one in parameters if one.kind is one.KEYWORD_ONLY}
    assert get_type_hints(options) == keywords
