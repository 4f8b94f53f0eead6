"""What becomes of records that are sent together, where no broker answers; refusals need a real one."""

from collections.abc import Iterator

import pytest

from framefuse.errors import Retry
from framefuse.kafka import BufferFull, Producer
from framefuse.kafka.connection import QUEUE_LIMIT_RECORDS
from framefuse.settings import KafkaSettings

NOBODY = KafkaSettings(bootstrap="127.0.0.1:9")


def test_what_is_not_answered_in_time_is_counted() -> None:
    producer = Producer(NOBODY)

    with pytest.raises(Retry, match=r"^3 of 3 words were not acknowledged in 0\.05 s: t$"):
        producer.send_all("t", [(None, b"x")] * 3, what="words", within_s=0.05)
    producer.abandon()


def test_what_an_earlier_call_left_unanswered_is_not_counted_again() -> None:
    producer = Producer(NOBODY)

    for count in (2, 1):
        with pytest.raises(Retry, match=f"^{count} of {count} words"):
            producer.send_all("t", [(None, b"x")] * count, what="words", within_s=0.01)
    producer.abandon()


def test_a_queue_that_stays_full_is_waited_for_no_longer_than_that() -> None:
    producer = Producer(NOBODY)
    taken = 0

    def words() -> Iterator[tuple[None, bytes]]:
        nonlocal taken
        for _ in range(2 * QUEUE_LIMIT_RECORDS):
            taken += 1
            yield None, b"x"

    with pytest.raises(BufferFull):
        producer.send_all("t", words(), what="words", within_s=0.1)
    assert QUEUE_LIMIT_RECORDS // 2 < taken <= QUEUE_LIMIT_RECORDS + 1
    producer.abandon()


def test_nothing_to_send_needs_no_broker() -> None:
    Producer(NOBODY).send_all("t", [], what="words", within_s=0.0)
