"""Packets that nobody takes in time: the oldest go, up to a picture that can be decoded alone."""

import threading
from typing import cast

import av
from av.video.stream import VideoStream

from producers.capture.inbox import BYTES_LIMIT, PACKETS_LIMIT, Inbox


def a_packet(number: int, *, key: bool = False, size: int = 100) -> "av.Packet[VideoStream]":
    packet = cast("av.Packet[VideoStream]", av.Packet(bytes(size)))
    packet.pts, packet.is_keyframe = number, key
    return packet


def taken(inbox: Inbox) -> list[int | None]:
    return [inbox.take(0.0).packet.pts for _ in range(len(inbox))]  # type: ignore[union-attr]


def test_the_oldest_go_up_to_the_next_key_frame_and_are_counted() -> None:
    inbox = Inbox()
    for number in range(PACKETS_LIMIT + 1):
        assert inbox.put(a_packet(number, key=number % 15 == 0))
    assert inbox.dropped() == 15
    assert inbox.dropped() == 0, "counted once"
    assert taken(inbox) == list(range(15, PACKETS_LIMIT + 1))


def test_what_is_dropped_and_what_is_taken_is_all_that_came() -> None:
    inbox = Inbox()
    for number in range(3 * PACKETS_LIMIT):
        inbox.put(a_packet(number, key=number % 40 == 0))
    dropped = inbox.dropped()
    left = taken(inbox)
    assert dropped + len(left) == 3 * PACKETS_LIMIT
    assert left == list(range(dropped, 3 * PACKETS_LIMIT)), "the newest stay, without a gap"
    assert dropped % 40 == 0, "the first that is left can be decoded alone"


def test_without_a_key_frame_all_go_and_what_cannot_be_decoded_is_not_kept() -> None:
    inbox = Inbox()
    for number in range(PACKETS_LIMIT + 10):
        inbox.put(a_packet(number))
    assert len(inbox) == 0
    inbox.put(a_packet(1000, key=True))
    inbox.put(a_packet(1001))
    assert taken(inbox) == [1000, 1001]
    assert inbox.dropped() == PACKETS_LIMIT + 10


def test_large_pictures_are_bounded_by_their_bytes() -> None:
    inbox = Inbox()
    size = BYTES_LIMIT // 10
    for number in range(30):
        inbox.put(a_packet(number, key=True, size=size))
        assert len(inbox) * size <= BYTES_LIMIT
    assert taken(inbox)[-1] == 29


def test_what_is_to_be_kept_waits_until_there_is_room() -> None:
    inbox = Inbox()
    inbox.keep_all = True
    total = PACKETS_LIMIT + 50
    writer = threading.Thread(target=lambda: [inbox.put(a_packet(number)) for number in range(total)])
    writer.start()
    came = [inbox.take(10.0) for _ in range(total)]
    writer.join(10)
    assert [arrival.packet.pts for arrival in came if arrival] == list(range(total))
    assert inbox.dropped() == 0


def test_an_inbox_that_is_over_takes_nothing_and_keeps_nobody_waiting() -> None:
    inbox = Inbox()
    inbox.put(a_packet(1))
    inbox.end()
    assert not inbox.put(a_packet(2))
    assert taken(inbox) == [1]
    assert inbox.take(60.0) is None
