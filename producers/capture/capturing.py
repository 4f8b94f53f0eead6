"""The life of a camera source: connect, decode, notice silence, connect anew.

The reading is in `connection.py`, what decides in `timeline.py` and `watchdog.py`. Knows no Kafka.
"""

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import av.error
from av import VideoFrame

from framefuse.errors import Retry, UnreadableImage
from framefuse.metrics import DAMAGED_PACKETS
from framefuse.pictures.decoding import PIXEL_LIMIT
from framefuse.pictures.encoding import EncodedImage, encoded, fit
from framefuse.pictures.video import upright
from framefuse.publishing.decisions import Pacer, Thinner
from framefuse.publishing.sources import Condition, Damaged, Dropped, Item, Picture, Rejected, SourceOptions
from framefuse.streams.credentials import MissingCredential
from producers.capture.addresses import Address
from producers.capture.connection import Closing, Connection, Feed
from producers.capture.guard import guarded
from producers.capture.inbox import Arrival, Inbox
from producers.capture.timeline import Timeline
from producers.capture.watchdog import Backoff, Patience, Watchdog
from schemas.records import State

_TICK_S = 0.25
_REPEAT_S = 1.0
_LATE_S = 0.25
"""A picture older than this gives way to the newer ones that wait."""
_BEHIND_S = 1.0
"""What is paced begins a new beat when it is this late."""
_WITHOUT_DECODING = frozenset({"mjpeg"})


@dataclass(frozen=True, slots=True)
class _Shot:
    """One picture before it is encoded."""

    raw_s: float | None
    frame: VideoFrame | bytes
    """Decoded, or a JPEG as it came."""


class Capturing:
    """One camera, from the first try to connect on. Iterate `items` once."""

    def __init__(self, address: Address, options: SourceOptions, patience: Patience) -> None:
        """Prepare; nothing is opened.

        Args:
            address: of the camera.
            options: how to read it.
            patience: how long it may be silent.
        """
        self._address, self._options, self._patience = address, options, patience
        self._thinner = Thinner(options.fps)
        self._timeline = Timeline(time.monotonic())
        self._pacer = Pacer()
        self._backoff = Backoff(random.SystemRandom().random)
        self._condition, self._said_s = Condition(State.STARTING), 0.0
        self._endless = False
        """Whether something without an end was seen at this address."""

    def items(self) -> Iterator[Item]:
        """Its pictures and how it is, for as long as anybody asks.

        Raises:
            BadInput: the address is refused, or its device is gone.
        """
        yield from self._say(State.STARTING, "")
        while True:
            began_s = time.monotonic()
            try:
                connection = self._connect()
            except (MissingCredential, Retry) as error:
                yield from self._wait(Closing(str(error)), 0.0)
                continue
            self._timeline.restart()
            self._pacer = Pacer()
            try:
                yield from self._follow(connection, Watchdog(began_s, self._patience))
            finally:
                connection.leave()
            end, feed = connection.closing, connection.feed
            if feed is not None and feed.stored and end is not None:
                if not end.complete:
                    yield Damaged(self._address.title, end.reason)
                return
            self._endless = self._endless or feed is not None
            yield from self._wait(end, time.monotonic() - began_s if feed else 0.0)

    def _connect(self) -> Connection:
        opening = self._address.opening(self._options.camera)
        if self._options.camera.public_only:
            opening = guarded(opening, self._address.title)
        return Connection(opening, self._address.stream_id)

    def _follow(self, connection: Connection, watchdog: Watchdog) -> Iterator[Item]:
        """Until the connection ends or is given up."""
        while True:
            arrival = connection.inbox.take(_TICK_S)
            feed = connection.feed
            if feed is not None and feed.stored and self._endless:
                return  # what was live has become its own recording, which came already
            if dropped := connection.inbox.dropped():
                yield Dropped(dropped)
            if arrival is not None and feed is not None:
                watchdog.interval_s = feed.interval_s
                yield from self._pictures(arrival, feed, connection.inbox, watchdog)
            elif connection.inbox.over and connection.closing is not None:
                return
            now_s = time.monotonic()
            if watchdog.hopeless(now_s):
                return
            if watchdog.stalled(now_s):
                yield from self._say(State.STALLED, f"no picture for more than {watchdog.allowed_s:.0f} s")
            else:
                yield from self._say(self._condition.state, self._condition.why)

    def _pictures(self, arrival: Arrival, feed: Feed, inbox: Inbox, watchdog: Watchdog) -> Iterator[Item]:
        for shot in _shots(arrival, feed):
            moment = self._timeline.place(shot.raw_s, arrival.arrived_s)
            if feed.paced:
                yield from self._until_due(moment.pts_s)
                watchdog.picture(time.monotonic())
                taken_s = time.monotonic()
            else:
                watchdog.picture(arrival.arrived_s)
                taken_s = arrival.arrived_s - moment.late_s
            if not self._thinner.keep(moment.pts_s):
                continue
            if not feed.paced and time.monotonic() - taken_s > _LATE_S and len(inbox):
                yield Dropped(1)
                continue
            yield from self._say(State.RUNNING, "")
            yield self._picture(shot, moment.pts_s, taken_s)

    def _picture(self, shot: _Shot, pts_s: float, taken_s: float) -> Picture | Rejected:
        try:
            image = self._encoded(shot.frame)
        except UnreadableImage as error:
            return Rejected(f"at {pts_s:.1f} s", str(error))
        return Picture(
            image=image.image,
            encoding=image.encoding,
            width=image.width,
            height=image.height,
            captured_at=datetime.now(UTC) - timedelta(seconds=time.monotonic() - taken_s),
            pts_s=pts_s,
            taken_s=taken_s,
        )

    def _encoded(self, frame: VideoFrame | bytes) -> EncodedImage:
        quality, max_side_px = self._options.quality, self._options.max_side_px
        if isinstance(frame, bytes):
            return fit(frame, quality=quality, max_side_px=max_side_px)
        if frame.width * frame.height > PIXEL_LIMIT:
            raise UnreadableImage(f"{frame.width}×{frame.height} pixels are more than {PIXEL_LIMIT}")
        return encoded(upright(frame), quality=quality, max_side_px=max_side_px)

    def _until_due(self, pts_s: float) -> Iterator[Item]:
        due_s = time.monotonic() + self._pacer.wait_s(pts_s, time.monotonic())
        while (left_s := due_s - time.monotonic()) > 0:
            time.sleep(min(left_s, _TICK_S))
            yield from self._say(self._condition.state, self._condition.why)
        if self._pacer.late_s(pts_s, time.monotonic()) > _BEHIND_S:
            self._pacer = Pacer()

    def _wait(self, end: Closing | None, lived_s: float) -> Iterator[Item]:
        reason = end.reason if end else self._condition.why or "no picture came"
        refused = end is not None and end.refused
        until_s = time.monotonic() + self._backoff.wait_s(lived_s=lived_s, refused=refused)
        while (left_s := until_s - time.monotonic()) > 0:
            yield from self._say(State.RECONNECTING, reason)
            time.sleep(min(left_s, _TICK_S))

    def _say(self, state: State, why: str) -> Iterator[Item]:
        now_s = time.monotonic()
        condition = Condition(state, why)
        if condition != self._condition or now_s - self._said_s >= _REPEAT_S:
            self._condition, self._said_s = condition, now_s
            yield condition


def _shots(arrival: Arrival, feed: Feed) -> Iterator[_Shot]:
    """The pictures of a packet; none when it cannot be decoded: the stream goes on without it."""
    packet = arrival.packet
    if packet.is_corrupt:
        DAMAGED_PACKETS.inc()
        return
    if feed.codec in _WITHOUT_DECODING:
        if packet.size:
            raw_s = float(packet.pts * packet.time_base) if packet.pts is not None else None
            yield _Shot(raw_s if feed.own_times else None, bytes(packet))
        return
    try:
        frames = packet.decode()
    except (av.error.FFmpegError, ValueError, OSError):
        DAMAGED_PACKETS.inc()
        return
    for frame in frames:
        if frame.is_corrupt:
            DAMAGED_PACKETS.inc()  # partly concealed; better than none, and there is no telling how much
        yield _Shot(frame.time if frame.pts is not None and feed.own_times else None, frame)
