"""One connection to a camera: opened and read in a thread of its own, so that nobody waits for the network.

FFmpeg's messages hold addresses, and so passwords: none of them leaves this file.
"""

import threading
import time
from dataclasses import dataclass

import av
import av.error
import av.logging
from av.container import InputContainer
from av.video.stream import VideoStream

from producers.capture.addresses import Opening
from producers.capture.inbox import Inbox

_OPEN_S = 10.0
_READ_S = 30.0
"""Longer than any watchdog: it only ends the threads of connections that were left."""
_WITHOUT_TIMES = frozenset({"mpjpeg", "mjpeg"})
_RATES = (0.01, 240.0)
_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (av.error.HTTPUnauthorizedError, "the camera refuses the login: check user and password"),
    (av.error.HTTPForbiddenError, "the camera refuses the login: check user and password"),
    (av.error.HTTPNotFoundError, "the camera has no such stream: check the path of its address"),
    (av.error.HTTPError, "the camera answers with an error"),
    (av.error.ConnectionRefusedError, "connection refused: is the camera up, is the port right?"),
    (av.error.ExitError, "no answer in time"),
    (av.error.TimeoutError, "no answer in time"),
    (av.error.ProtocolNotFoundError, "it leads to an address of a kind that cameras do not have"),
    (av.error.InvalidDataError, "what it sends is not video"),
)


@dataclass(frozen=True, slots=True)
class Feed:
    """What an open connection gives."""

    codec: str
    format: str
    interval_s: float | None
    """Between two pictures, as announced."""
    stored: bool
    """It has an end: a file or a playlist that is complete."""
    paced: bool
    """It comes faster than it was taken, in whole segments, and has to be slowed down."""
    own_times: bool


@dataclass(frozen=True, slots=True)
class Closing:
    """Why a connection ended; for people, without credentials."""

    reason: str
    complete: bool = False
    """Everything there was has come."""
    refused: bool = False
    """The login was refused."""


_NO_ANSWER = Closing("no answer in time")
"""FFmpeg takes an answer that it stopped to wait for for one without video."""


class Connection:
    """Reads until the camera ends it or `leave` is called; then nothing of it may be used any more."""

    def __init__(self, opening: Opening, title: str) -> None:
        """Begin to connect.

        Args:
            opening: what FFmpeg is told.
            title: for the name of the thread; no credentials.
        """
        self.inbox = Inbox()
        self.feed: Feed | None = None
        """None until it is open."""
        self.closing: Closing | None = None
        """None while it lives."""
        self._opening, self._left = opening, threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"framefuse-camera-{title}", daemon=True)
        self._thread.start()

    def leave(self) -> None:
        """Read no further; the thread ends at its next packet, or when the network call does."""
        self.inbox.end()
        self._left.set()

    def _run(self) -> None:
        began_s = time.monotonic()
        try:
            self._live()
        except Exception as error:
            waited_s = time.monotonic() - began_s
            late = waited_s >= _OPEN_S
            self.closing = self.closing or (_NO_ANSWER if late else _closing(error, self._opening))
        self.inbox.end()

    def _live(self) -> None:
        av.logging.set_level(None)
        opening = self._opening
        container = av.open(
            opening.url,
            "r",
            format=opening.format,
            options=opening.options,
            timeout=(_OPEN_S, _READ_S),
            metadata_errors="replace",
        )
        with container:
            try:
                self.closing = self._read(container)
            except Exception as error:
                self.closing = _closing(error, opening)
            self.inbox.end()
            # Packets that wait to be decoded need the container.
            self._left.wait()

    def _read(self, container: InputContainer) -> Closing:
        video = next((stream for stream in container.streams.video if stream.codec_context), None)
        if video is None:
            return Closing("it sends no video that can be decoded")
        video.codec_context.thread_type = "SLICE"  # by frames, each thread would keep one back
        feed = _feed_of(container, video)
        self.inbox.keep_all = feed.paced
        self.feed = feed
        for packet in container.demux(video):
            if (packet.size or feed.stored) and not self.inbox.put(packet):
                return Closing("left")
        return Closing("the camera ended the stream", complete=True)


def _feed_of(container: InputContainer, video: VideoStream) -> Feed:
    name = container.format.name.partition(",")[0]
    rate = float(video.average_rate or 0)
    pushed = name == "rtsp" or container.format.name in _WITHOUT_TIMES or name in ("v4l2", "video4linux2")
    stored = not pushed and bool(container.duration)
    return Feed(
        codec=video.codec_context.name,
        format=name,
        interval_s=1 / rate if _RATES[0] <= rate <= _RATES[1] else None,
        stored=stored,
        paced=stored or name == "hls",
        own_times=name not in _WITHOUT_TIMES,
    )


def _closing(error: Exception, opening: Opening) -> Closing:
    if not isinstance(error, av.error.FFmpegError | OSError):
        # Its message may hold the address; its name cannot.
        return Closing(f"it cannot be read ({type(error).__name__})")
    refused = isinstance(error, av.error.HTTPUnauthorizedError | av.error.HTTPForbiddenError)
    for kind, reason in _REASONS:
        if isinstance(error, kind):
            return Closing(reason, refused=refused)
    # The short text of an error number; the long one holds the address.
    reason = str(getattr(error, "strerror", None) or type(error).__name__)
    if opening.url.lower().startswith(("rtsps:", "https:")):
        reason += "; its certificate must be one that this host trusts (SSL_CERT_FILE), for this name"
    if opening.bound:
        reason += "; if it leads to another address, that is not followed while only public ones are allowed"
    return Closing(reason, refused=refused)
