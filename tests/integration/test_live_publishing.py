"""A live publisher whose broker takes no more frames: what a report raises leaves the poll of the client."""

import os
import signal

import numpy as np
import pytest

from framefuse.broker.home import RunningBroker
from framefuse.client import FramePublisher, NotPublished
from framefuse.errors import Stop
from framefuse.kafka import Admin, Producer
from framefuse.settings import KafkaSettings
from schemas.topics import ALL, FRAMES

pytestmark = pytest.mark.broker
PICTURE = np.zeros((8, 8, 3), np.uint8)


def test_frames_that_are_refused_while_they_wait_fail_and_closing_ends(
    broker: RunningBroker, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kafka = KafkaSettings(bootstrap=broker.bootstrap, prefix=topic_prefix)
    Admin(kafka).create_topics(ALL, partitions=1)
    send = Producer.send

    def refusing(producer: Producer, topic: str, *args: object, **kwargs: object) -> None:
        if topic == FRAMES.name(topic_prefix):
            raise Stop(f"the producer of {topic} cannot go on")
        send(producer, topic, *args, **kwargs)  # type: ignore[arg-type]

    publisher = FramePublisher("gate", settings=kafka, live=True)
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        tickets = [publisher.publish(PICTURE) for _ in range(10)]
        monkeypatch.setattr(Producer, "send", refusing)
    finally:
        os.kill(broker.pid, signal.SIGCONT)

    publisher.close(20.0)

    sums = publisher.sums
    assert (sums.published, sums.failed, sums.handed) == (8, 2, 0)
    with pytest.raises(NotPublished, match="cannot go on"):
        tickets[9].wait(0)
