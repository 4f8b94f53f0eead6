"""Sends the frames of dead letters again: new records of `frames`, with the next attempt.

Holds back as every publisher of files does, so that a replay starves no live stream. What was sent is noted
in the topic of dead letters; a crash between the two can send a frame twice, and the books count it once.
"""

import time
from collections import Counter
from collections.abc import Callable, Container
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import Self

from framefuse.dead_letters.notes import REPLAY, closing_note
from framefuse.errors import Retry, Stop
from framefuse.kafka import Delivery, Producer
from framefuse.publishing.outlet import Outlet
from framefuse.results.outcome_tail import OutcomeTail
from framefuse.settings import KafkaSettings
from schemas.codec import encode
from schemas.records import DeadLetter, Frame, Outcome
from schemas.topics import DEAD_LETTERS

_DELIVERED_WITHIN_S = 120.0
Waiting = Callable[[str | None], None]
"""Told what is waited for, and None when the wait is over."""


def again(frame: Frame, attempt: int) -> Frame:
    """The same frame, as this attempt.

    It goes as a frame of a file, which never expires: a replay is not live any more, whatever it was.
    """
    return replace(frame, attempt=attempt, live=False, freshness_ms=None, capture_to_send_ms=0.0)


class Replay:
    """The way back into `frames`. A context manager."""

    def __init__(self, settings: KafkaSettings) -> None:
        """Connect.

        Raises:
            BrokerUnavailable: no broker answers.
            Stop: there are no topics.
        """
        self._dead_letters = DEAD_LETTERS.name(settings.prefix)
        self._outlet = Outlet(settings)
        self._notes = Producer(settings, client_id="framefuse-replay")
        self._delivered: SimpleQueue[tuple[DeadLetter, int, Delivery]] = SimpleQueue()
        self._under_way = 0
        self.places: set[tuple[int, int]] = set()
        """Partition and offset of each frame that the broker has acknowledged."""
        self.refused: list[str] = []
        """What the broker said of those that it has not."""
        self._unnoted: list[str] = []
        """What it said of the notes that it has not."""

    def send(self, letter: DeadLetter, frame: Frame, attempt: int, waiting: Waiting) -> None:
        """Append a frame, as this attempt, to the partition it came from.

        Raises:
            Stop: the broker does not let us note what was sent, so that the next replay would send it again.
        """
        bare = replace(letter, value=None)

        def waiting_and_noting(why: str | None) -> None:
            self._note()
            self._check_noted()
            waiting(why)

        wanted = letter.partition if letter.partition < self._outlet.partitions else None
        partition = self._outlet.reserve([self._outlet.place(frame.stream_id, wanted)], waiting_and_noting)
        self._outlet.send(
            again(frame, attempt),
            partition,
            lambda delivery: self._delivered.put((bare, attempt, delivery)),
        )
        self._under_way += 1
        self._note()
        self._check_noted()

    def finish(self) -> None:
        """Wait until every frame, and the note about it, is acknowledged.

        Raises:
            Retry: the broker does not answer.
            Stop: it does not let us note what was sent.
        """
        give_up_s = time.monotonic() + _DELIVERED_WITHIN_S
        while self._under_way and time.monotonic() < give_up_s:
            self._take(0.2)
        unanswered = self._notes.flush(10.0)
        self._check_noted()
        if self._under_way or unanswered:
            raise Retry(
                "the broker has not acknowledged all of the replay: see 'framefuse dead-letters list'"
            )

    def close(self) -> None:
        """Deliver what was handed over and disconnect."""
        self._outlet.close()
        self._note()
        self._notes.close()

    def __enter__(self) -> "Replay":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _note(self) -> None:
        """Note all that is delivered by now."""
        while self._take(0.0):
            pass
        self._notes.poll(0)

    def _take(self, timeout_s: float) -> bool:
        """Note one delivery, if there is one within this time."""
        try:
            letter, attempt, delivery = self._delivered.get(timeout_s > 0, timeout_s)
        except Empty:
            return False
        self._under_way -= 1
        if delivery.error is not None:
            self.refused.append(delivery.error)
            return True
        self.places.add((delivery.partition, delivery.offset))
        where = f"attempt {attempt} is {delivery.topic}-{delivery.partition}@{delivery.offset}"
        note = closing_note(letter, stage=REPLAY, message=where, attempt=attempt)
        try:
            self._notes.send(self._dead_letters, encode(note), key=letter.key, on_delivery=self._noted)
        except Stop as error:  # once it was refused, the client refuses the next by itself
            self._unnoted.append(str(error))
        self._notes.poll(0)
        return True

    def _noted(self, delivery: Delivery) -> None:
        if delivery.error is not None:
            self._unnoted.append(delivery.error)

    def _check_noted(self) -> None:
        if self._unnoted:
            raise Stop(
                f"{len(self._unnoted)} of {len(self.places)} frames sent again could not be noted, and their "
                f"cases stay open: {self._unnoted[0]}; once that is mended, replay them: the books count a "
                "frame once"
            )


class Outcomes:
    """Waits for what becomes of some frames; made before they are sent. A context manager."""

    def __init__(self, settings: KafkaSettings) -> None:
        """Stand at the end of `fused`.

        Raises:
            Retry: the broker did not answer.
            Stop: a topic is missing, or we may not read it.
        """
        self._tail = OutcomeTail(settings, client_id="framefuse-replay")
        self._seen: dict[tuple[int, int], Outcome] = {}

    def read(self, timeout_s: float, places: Container[tuple[int, int]]) -> int:
        """Take in what has come, waiting at most `timeout_s`; the number of outcomes, whosever they are.

        Args:
            timeout_s: for the first of them.
            places: partition and offset of each frame that is waited for; others are not kept.
        """
        heads = self._tail.read(timeout_s)
        for head in heads:
            place = head.frame.partition, head.frame.offset
            if place in places:
                self._seen[place] = head.outcome
        return len(heads)

    @property
    def ended(self) -> Counter[Outcome]:
        """The outcomes so far of the frames that are waited for."""
        return Counter(self._seen.values())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._tail.close()
