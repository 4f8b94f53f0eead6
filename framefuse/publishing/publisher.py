"""`FramePublisher`: puts pictures into one stream, in order, and never loses one without saying so.

    with FramePublisher("gate") as publisher:
        ticket = publisher.publish(image)  # H×W×3 uint8 BGR, the bytes of an encoded file, or a path
        print(ticket.frame_id, ticket.wait().offset)

The command line publishes through the same class.
"""

import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Literal, Self

from framefuse.errors import BadInput, BrokerUnavailable, FramefuseError, UnreadableImage
from framefuse.kafka import BufferFull, Delivery
from framefuse.metrics import DROPPED, PUBLISHED, REJECTED
from framefuse.pictures.encoding import EncodedImage, check_size
from framefuse.publishing.decisions import (
    DEFAULT_LIVE_FRESHNESS_MS,
    Sums,
    checked_stream_id,
    frame_id_for,
    new_run_id,
)
from framefuse.publishing.hold_back import DEFAULT_LIMIT
from framefuse.publishing.outlet import Outlet, PublisherClosed
from framefuse.publishing.pictures import picture_of
from framefuse.publishing.telling import StateTeller
from framefuse.publishing.tickets import NotPublished, Ticket
from framefuse.settings import KafkaSettings, load
from framefuse.types import Image
from schemas.records import Frame, FrameRef, State

_LIVE_UNACKNOWLEDGED, _LIVE_WAITING = 8, 8


@dataclass(frozen=True, slots=True)
class _Outgoing:
    """A frame that waits to be sent; `taken_s` is the monotonic time of its capture."""

    ticket: Ticket
    picture: EncodedImage
    captured_at: datetime
    taken_s: float


class FramePublisher:
    """Publishes one run of one stream; safe to use from several threads.

    A file publisher (`live=False`) waits in `publish` while the workers are behind; no frame is lost. A live
    one never waits: what does not fit is dropped, oldest first, and counted; dropped frames leave gaps in the
    sequence.
    """

    def __init__(
        self,
        stream: str,
        *,
        settings: KafkaSettings | None = None,
        live: bool = False,
        freshness_ms: int | None = None,
        partition: int | Literal["auto"] | None = None,
        partition_by: Literal["stream", "frame"] = "stream",
        in_flight: int = DEFAULT_LIMIT,
        quality: int = 90,
        max_side_px: int | None = None,
        outlet: Outlet | None = None,
        state: State = State.RUNNING,
    ) -> None:
        """Begin a run.

        Args:
            stream: stream id, 1 to 64 of `A-Z a-z 0-9 . _ -`.
            settings: where the broker is; from the environment and `framefuse.yaml` when not given.
            live: newer frames matter more than older ones.
            freshness_ms: a live frame older than this expires unprocessed, 500 unless given; frames that are
                not live never expire.
            partition: where the stream goes: by its name unless given, or to the emptiest.
            partition_by: `frame` spreads one stream over all partitions, and so over all workers.
            in_flight: frames that may wait for the workers; 0 lifts the limit.
            quality: JPEG quality of arrays, 1 to 100.
            max_side_px: shrink larger pictures to this long side.
            outlet: a connection to share; it brings `settings`, `live` and `in_flight`.
            state: how the stream is at first; see `turn`.

        Raises:
            BadInput: not a stream id, no such partition, or a freshness of frames that are not live.
            BrokerUnavailable: no broker answers.
            Stop: there are no topics.
        """
        self.stream_id, self.run_id = checked_stream_id(stream), new_run_id()
        self._owns_outlet = outlet is None
        self._outlet = outlet or Outlet(settings or load(KafkaSettings), live=live, in_flight=in_flight)
        self.live = self._outlet.live
        if freshness_ms is not None and not self.live:
            raise BadInput(f"freshness_ms={freshness_ms} is for live frames only: add live=True")
        self._freshness_ms = (freshness_ms or DEFAULT_LIVE_FRESHNESS_MS) if self.live else None
        self._partition = self._outlet.place(self.stream_id, partition)
        self._by_frame = partition_by == "frame"
        self._quality, self._max_side_px = quality, max_side_px
        self._turn = threading.Lock()
        self._changed = threading.Condition(threading.RLock())
        self._waiting: deque[_Outgoing] = deque()
        self._sums, self._ends = Sums(), dict[int, int]()
        self._next_sequence = 0
        self._trouble, self._waiting_for = "", ""
        self._interrupted, self._closed = threading.Event(), False
        self._teller = StateTeller(self._outlet, self.stream_id, self.run_id)
        self._teller.tell(state, self._sums)

    @property
    def state(self) -> State:
        """How the stream is, as others were told."""
        return self._teller.state

    @property
    def sums(self) -> Sums:
        """What became of the pictures so far."""
        return self._sums

    @property
    def ends(self) -> Mapping[int, int]:
        """By partition, the offset after the last acknowledged frame of this run."""
        with self._changed:
            return dict(self._ends)

    @property
    def waiting_for(self) -> str:
        """What `publish` waits for in another thread, where the user can do something; else empty."""
        return self._waiting_for

    def publish(
        self,
        image: Image | bytes | Path | str,
        *,
        captured_at: datetime | None = None,
        idempotency_key: str | None = None,
    ) -> Ticket:
        """Publish one picture; waits while the workers are too far behind, unless live.

        Args:
            image: H×W×3 uint8 BGR or H×W grey, which becomes a JPEG; or the bytes or the path of a JPEG, PNG
                or WEBP, published as it is, or of a BMP, TIFF or PNM, which becomes a JPEG.
            captured_at: timezone-aware; now unless given.
            idempotency_key: the same key in the same stream gives the same `frame_id`.

        Raises:
            UnreadableImage: not a picture, broken, or too large; it is counted as rejected.
            BadInput: no such file, nothing that can be published, or a time without its zone.
            NotPublished: an earlier frame was never acknowledged; the run is over.
            PublisherClosed: `close` was called.
            Stop: the broker will take no frame, not this one either.
        """
        taken_s = time.monotonic()
        try:
            picture = picture_of(image, quality=self._quality, max_side_px=self._max_side_px)
        except UnreadableImage:
            self.count_rejected()
            raise
        return self.publish_encoded(
            picture, captured_at=captured_at, idempotency_key=idempotency_key, taken_s=taken_s
        )

    def publish_encoded(
        self,
        picture: EncodedImage,
        *,
        captured_at: datetime | None = None,
        idempotency_key: str | None = None,
        taken_s: float | None = None,
    ) -> Ticket:
        """Publish a picture that is encoded already; see `publish`.

        Args:
            picture: as it goes into the frame.
            captured_at: timezone-aware; now unless given.
            idempotency_key: the same key in the same stream gives the same `frame_id`.
            taken_s: `time.monotonic()` when it was captured; now unless given.
        """
        self._check_size(picture)
        if captured_at is not None and captured_at.tzinfo is None:
            raise BadInput(f"captured_at={captured_at} has no time zone: such as datetime.now(UTC)")
        with self._turn:
            self._check_open()
            taken_s = time.monotonic() if taken_s is None else taken_s
            partition = None if self.live else self._reserve()
            outgoing = _Outgoing(
                self._ticket(idempotency_key), picture, captured_at or datetime.now(UTC), taken_s
            )
            if partition is None:
                self._enqueue(outgoing)
            else:
                self._hand_over(outgoing, partition)
        return outgoing.ticket

    def count_rejected(self, *, reason: Literal["unreadable", "too large"] = "unreadable") -> None:
        """Count a picture of the stream that cannot become a frame."""
        with self._changed:
            self._sums = replace(self._sums, rejected=self._sums.rejected + 1)
        REJECTED.labels(reason).inc()

    def count_dropped(self, count: int = 1) -> None:
        """Count pictures that a live source gave up for newer ones."""
        with self._changed:
            self._sums = replace(self._sums, dropped=self._sums.dropped + count)
        DROPPED.inc(count)

    def turn(self, state: State | None = None) -> None:
        """Say how the stream is from now on; what is not new is told again once in a while.

        Args:
            state: as before, unless given.
        """
        self._teller.turn(state or self._teller.state, self._sums)

    def interrupt(self) -> None:
        """Let nobody wait in `publish` any longer: it raises. What was handed over is still delivered."""
        self._interrupted.set()

    def flush(self, timeout_s: float | None = None) -> None:
        """Wait until the broker has answered for every frame so far.

        Raises:
            BrokerUnavailable: it has not after `timeout_s`.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: not self._sums.handed and not self._waiting, timeout_s):
                left = self._sums.handed + len(self._waiting)
                raise BrokerUnavailable(
                    f"{left} frames of stream {self.stream_id} are not acknowledged after {timeout_s:g} s: "
                    "is the broker up? 'framefuse broker status'"
                )

    def close(self, timeout_s: float | None = None, *, ended: str = "closed") -> None:
        """End the run: deliver everything, and say how it went. A second call does nothing.

        Args:
            timeout_s: wait this long at most; without, until the broker has answered for every frame.
            ended: why, for whoever asks how the stream is.

        Raises:
            BrokerUnavailable: not everything is acknowledged after `timeout_s`.
            NotPublished: some frames never will be.
        """
        if self._closed:
            return
        self._closed = True
        try:
            self.flush(timeout_s)
            self._check_delivered()
        finally:
            try:
                self._teller.tell(State.ENDED, self._sums, ended=ended)
            finally:
                if self._owns_outlet:
                    self._outlet.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _check_size(self, picture: EncodedImage) -> None:
        try:
            check_size(len(picture.image))
        except UnreadableImage:
            self.count_rejected(reason="too large")
            raise

    def _reserve(self) -> int:
        return self._outlet.reserve(self._candidates(), self._note_waiting, self._interrupted)

    def _candidates(self) -> Sequence[int]:
        if not self._by_frame:
            return (self._partition,)
        count = self._outlet.partitions
        return [(self._partition + self._next_sequence + step) % count for step in range(count)]

    def _ticket(self, idempotency_key: str | None) -> Ticket:
        ticket = Ticket(
            frame_id_for(self.stream_id, idempotency_key),
            self.stream_id,
            self.run_id,
            self._next_sequence,
        )
        self._next_sequence += 1
        return ticket

    def _enqueue(self, outgoing: _Outgoing) -> None:
        with self._changed:
            self._waiting.append(outgoing)
            if len(self._waiting) > _LIVE_WAITING:
                self._drop(self._waiting.popleft())
            refused = self._send_waiting()
        if (error := refused.get(outgoing.ticket.sequence)) is not None:
            raise error

    def _send_waiting(self) -> Mapping[int, FramefuseError]:
        """Hand over what may be, in any thread; by sequence, what was refused, which has failed by that."""
        refused: dict[int, FramefuseError] = {}
        with self._changed:
            while self._waiting and self._sums.handed < _LIVE_UNACKNOWLEDGED:
                outgoing = self._waiting.popleft()
                try:
                    self._hand_over(outgoing, self._reserve())
                except BufferFull:
                    self._waiting.appendleft(outgoing)
                    self._outlet.when_room(self._send_waiting)
                    break
                except PublisherClosed:
                    self._drop(outgoing)
                except FramefuseError as error:
                    self._fail(outgoing, error)
                    refused[outgoing.ticket.sequence] = error
        return refused

    def _drop(self, outgoing: _Outgoing) -> None:
        self.count_dropped()
        outgoing.ticket.failed("dropped for newer live frames")
        self._changed.notify_all()

    def _fail(self, outgoing: _Outgoing, error: FramefuseError) -> None:
        self._trouble = str(error)
        self._sums = replace(self._sums, failed=self._sums.failed + 1)
        outgoing.ticket.failed(self._trouble)
        self._changed.notify_all()

    def _hand_over(self, outgoing: _Outgoing, partition: int) -> None:
        ticket, picture = outgoing.ticket, outgoing.picture
        frame = Frame(
            frame_id=ticket.frame_id,
            stream_id=ticket.stream_id,
            run_id=ticket.run_id,
            sequence=ticket.sequence,
            captured_at=outgoing.captured_at,
            attempt=0,
            live=self.live,
            width=picture.width,
            height=picture.height,
            encoding=picture.encoding,
            image=picture.image,
            sha256=sha256(picture.image).hexdigest(),
            freshness_ms=self._freshness_ms,
            capture_to_send_ms=(time.monotonic() - outgoing.taken_s) * 1000.0,
        )
        self._count_handed(1)
        try:
            self._outlet.send(frame, partition, lambda delivery: self._delivered(ticket, delivery))
        except Exception:
            self._count_handed(-1)
            self._outlet.give_back(partition)
            raise

    def _count_handed(self, change: int) -> None:
        with self._changed:
            self._sums = replace(self._sums, handed=self._sums.handed + change)

    def _delivered(self, ticket: Ticket, delivery: Delivery) -> None:
        with self._changed:
            sums = replace(self._sums, handed=self._sums.handed - 1)
            if delivery.error is not None:
                self._trouble = delivery.error
                self._sums = replace(sums, failed=sums.failed + 1)
            else:
                last = max(ticket.sequence, -1 if sums.last_sequence is None else sums.last_sequence)
                self._sums = replace(sums, published=sums.published + 1, last_sequence=last)
                at = delivery.partition
                self._ends[at] = max(self._ends.get(at, 0), delivery.offset + 1)
                PUBLISHED.inc()
            self._changed.notify_all()
        if delivery.error is not None:
            ticket.failed(delivery.error)
        else:
            when = delivery.timestamp or datetime.now(UTC)
            ticket.placed(FrameRef(delivery.topic, delivery.partition, delivery.offset, when))
        self._send_waiting()

    def _note_waiting(self, reason: str | None) -> None:
        self._waiting_for = reason or ""

    def _check_open(self) -> None:
        if self._closed:
            raise PublisherClosed(f"the publisher of stream {self.stream_id} is closed")
        self._check_delivered()

    def _check_delivered(self) -> None:
        if self._sums.failed and not self.live:
            raise NotPublished(
                f"{self._sums.failed} frames of stream {self.stream_id} were never acknowledged "
                f"({self._trouble}): is the broker up? 'framefuse broker status'"
            )
