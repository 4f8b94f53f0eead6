"""What a publisher does with frames that its producer refuses, in its own thread and in that of the reports.

The producer is played: a real one cannot be made to refuse on cue. As with librdkafka, what a report raises
leaves `poll`.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import numpy as np
import pytest

from framefuse.errors import Stop
from framefuse.kafka import BufferFull, Delivery
from framefuse.publishing import outlet as outlets
from framefuse.publishing.outlet import Outlet
from framefuse.publishing.publisher import FramePublisher
from framefuse.publishing.tickets import NotPublished
from framefuse.settings import KafkaSettings
from tests.unit.builders import a_frame

PICTURE = np.zeros((8, 8, 3), np.uint8)
GONE = Stop("the producer of framefuse.frames cannot go on: topic gone")
SOON_S = 5.0


class PlayedProducer:
    """Reports what it took once `answers` is set, in order; refuses frames while there is a `refusal`."""

    def __init__(self, *_: object, **__: object) -> None:
        self.answers = threading.Event()
        self.refusal: Exception | None = None
        self._taken: deque[Callable[[Delivery], None]] = deque()

    def send(self, topic: str, value: bytes, *, on_delivery: Callable[[Delivery], None], **_: object) -> None:
        if topic.endswith(".frames"):
            if self.refusal is not None:
                raise self.refusal
            self._taken.append(on_delivery)

    def poll(self, timeout_s: float) -> int:
        if not self.answers.wait(timeout_s) or not self._taken:
            threading.Event().wait(0.01)
            return 0
        self._taken.popleft()(Delivery("framefuse.frames", 0, 0, datetime.now(UTC), None))
        return 1

    def flush(self, timeout_s: float) -> int:
        return len(self._taken)

    def close(self, timeout_s: float) -> None:
        pass

    def __len__(self) -> int:
        return len(self._taken)


class PlayedBroker:
    """Has one partition, and no group that ever read it."""

    def __init__(self, *_: object) -> None: ...

    def partition_count(self, topic: str) -> int:
        return 1

    def ends(self, topic: str, partitions: object) -> dict[int, int]:
        return {0: 0}

    def committed(self, topic: str, partitions: object) -> dict[int, int]:
        return {}

    def close(self) -> None: ...


@pytest.fixture
def producer(monkeypatch: pytest.MonkeyPatch) -> PlayedProducer:
    played = PlayedProducer()
    monkeypatch.setattr(outlets, "Producer", lambda *_, **__: played)
    monkeypatch.setattr(outlets, "Admin", PlayedBroker)
    monkeypatch.setattr(outlets, "GroupOffsets", PlayedBroker)
    return played


@pytest.fixture
def outlet(producer: PlayedProducer) -> Iterator[Outlet]:
    del producer
    live = Outlet(KafkaSettings(bootstrap="broker:9092"), live=True)
    yield live
    live.close()


def test_a_waiting_frame_that_is_refused_fails_and_everything_goes_on(
    producer: PlayedProducer, outlet: Outlet
) -> None:
    """The thread of the reports sends it: it ended with what that raised, and `close` waited for ever."""
    publisher, neighbour = (FramePublisher(stream, outlet=outlet) for stream in ("gate", "yard"))
    tickets = [publisher.publish(PICTURE) for _ in range(10)]
    producer.refusal = GONE

    producer.answers.set()

    publisher.close(SOON_S)
    for ticket in tickets[8:]:
        with pytest.raises(NotPublished, match="topic gone"):
            ticket.wait(0)
    assert (publisher.sums.published, publisher.sums.failed, publisher.sums.handed) == (8, 2, 0)
    producer.refusal = None
    assert neighbour.publish(PICTURE).wait(SOON_S).topic == "framefuse.frames"


def test_a_frame_that_is_refused_at_once_is_counted_and_said_to_who_publishes(
    producer: PlayedProducer, outlet: Outlet
) -> None:
    publisher = FramePublisher("gate", outlet=outlet)
    producer.refusal = GONE
    with pytest.raises(Stop, match="topic gone"):
        publisher.publish(PICTURE)

    publisher.close(SOON_S)

    assert (publisher.sums.failed, publisher.sums.handed) == (1, 0)


def test_a_frame_that_found_no_room_is_sent_once_there_is_some_though_nothing_of_its_stream_is_reported(
    producer: PlayedProducer, outlet: Outlet
) -> None:
    publisher = FramePublisher("gate", outlet=outlet)
    producer.answers.set()
    producer.refusal = BufferFull("the producer's queue is full")
    ticket = publisher.publish(PICTURE)
    with pytest.raises(TimeoutError):
        ticket.wait(0.3)

    producer.refusal = None

    assert ticket.wait(SOON_S).topic == "framefuse.frames"
    publisher.close(SOON_S)


def test_reports_go_on_after_one_whose_receiver_failed_and_that_is_logged_once(
    producer: PlayedProducer, outlet: Outlet, caplog: pytest.LogCaptureFixture
) -> None:
    told = threading.Event()

    def mistaken(delivery: Delivery) -> None:
        raise ZeroDivisionError

    with caplog.at_level(logging.ERROR):
        for receiver in (mistaken, mistaken, lambda delivery: told.set()):
            outlet.send(a_frame(), 0, receiver)
        producer.answers.set()
        assert told.wait(SOON_S)

    (record,) = caplog.records
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError
