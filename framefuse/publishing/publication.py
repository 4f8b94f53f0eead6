"""Several sources published at once, each as its own stream, in a thread of its own.

The commands `publish` and `demo` show what happens here; nothing is printed here.
"""

import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from framefuse.errors import BadInput, FramefuseError, UnreadableImage
from framefuse.pictures.encoding import EncodedImage
from framefuse.publishing.decisions import Pacer, Sums, checked_stream_id, distinct
from framefuse.publishing.hold_back import DEFAULT_LIMIT
from framefuse.publishing.outlet import Outlet, PublisherClosed
from framefuse.publishing.publisher import FramePublisher
from framefuse.publishing.sources import Condition, Damaged, Dropped, Picture, Rejected, Skipped, Source
from framefuse.settings import KafkaSettings
from schemas.records import State

END_OF_SOURCE = "end of the source"
_NOTICES_KEPT = 200
_LAST_WORDS_S = 10.0


@dataclass(frozen=True, slots=True)
class PublishOptions:
    """How sources become streams, the same for all of one command."""

    live: bool = False
    """Paced by the source's own times, newer frames before older ones, expiring."""
    realtime: bool = False
    """Paced by the source's own times, every frame counts."""
    freshness_ms: int | None = None
    limit: int | None = None
    """Frames a stream at most."""
    partition: int | Literal["auto"] | None = None
    partition_by: Literal["stream", "frame"] = "stream"
    in_flight: int = DEFAULT_LIMIT


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that the user should read; `grave` when a part of the source is not in the stream."""

    stream_id: str
    text: str
    grave: bool


@dataclass(frozen=True, slots=True)
class Progress:
    """How one stream stands."""

    stream_id: str
    title: str
    run_id: str
    sums: Sums
    elapsed_s: float
    waiting_for: str
    """What it waits for, where the user can do something; else empty."""
    ended: bool
    damaged: bool
    """A part of the source could not be read, or an error ended it."""
    state: State = State.RUNNING
    why: str = ""
    """Why a camera is not running; else empty."""
    trouble: str = ""
    """What is wrong with the broker; else empty."""

    @property
    def complete(self) -> bool:
        """Whether the source ended and all its pictures are in the topic, dropped live ones aside."""
        return self.ended and not (self.damaged or self.sums.rejected or self.sums.failed or self.sums.handed)


def named(sources: Sequence[Source], stream_ids: Sequence[str]) -> list[tuple[str, Source]]:
    """Each source with its stream id: those the user gave, or its own, told apart where they repeat.

    Raises:
        BadInput: an id cannot be used, comes twice, or there are more or fewer ids than sources.
    """
    if not stream_ids:
        return list(zip(distinct(source.stream_id for source in sources), sources, strict=True))
    for stream_id in stream_ids:
        checked_stream_id(stream_id)
    if len(stream_ids) != len(sources) or len(set(stream_ids)) != len(stream_ids):
        found = ", ".join(source.title for source in sources[:5])
        raise BadInput(
            f"--stream names {len(set(stream_ids))} streams, the input has {len(sources)} ({found}"
            f"{', …' if len(sources) > 5 else ''}): give one --stream for each, or none"
        )
    return list(zip(stream_ids, sources, strict=True))


class Publication:
    """Publishes sources until they end or `interrupt` is called; use as a context manager."""

    def __init__(
        self,
        settings: KafkaSettings,
        sources: Sequence[tuple[str, Source]],
        options: PublishOptions | None = None,
        *,
        outlet: Outlet | None = None,
    ) -> None:
        """Connect, and start to publish.

        Args:
            settings: where the broker is.
            sources: stream ids with their sources, see `named`.
            options: how to publish.
            outlet: a connection to share, which stays open; it decides what is live and held back.

        Raises:
            BadInput: a partition that is not there.
            BrokerUnavailable: no broker answers.
            Stop: there are no topics.
        """
        options = options or PublishOptions()
        live = options.live or any(source.live for _, source in sources)
        self._noticed = deque[Notice](maxlen=_NOTICES_KEPT)
        self._owns_outlet = outlet is None
        self._outlet = outlet or Outlet(settings, live=live, in_flight=options.in_flight)
        try:
            self._streams = [self._stream(stream_id, source, options) for stream_id, source in sources]
        except BaseException:
            if self._owns_outlet:
                self._outlet.close()
            raise
        for stream in self._streams:
            stream.thread.start()

    @property
    def ends(self) -> Mapping[int, int]:
        """By partition, the offset after the last acknowledged frame of any of the streams."""
        ends: dict[int, int] = {}
        for stream in self._streams:
            for partition, end in stream.publisher.ends.items():
                ends[partition] = max(ends.get(partition, 0), end)
        return ends

    def progress(self) -> list[Progress]:
        """How each stream stands, in order of the sources."""
        trouble = self.trouble or ""
        return [stream.progress(trouble) for stream in self._streams]

    @property
    def trouble(self) -> str | None:
        """What is wrong with the broker, and what to do; None while it answers."""
        return self._outlet.trouble

    def notices(self) -> list[Notice]:
        """What was noticed since the last call, the last 200."""
        return [self._noticed.popleft() for _ in range(len(self._noticed))]

    def interrupt(self, ended: str = "interrupted") -> None:
        """Stop reading. What was handed to the Kafka client is still delivered.

        Args:
            ended: why, for whoever asks how the streams are.
        """
        for stream in self._streams:
            stream.interrupt(ended)
        if self._owns_outlet:
            self._outlet.interrupt()

    def wait(self, timeout_s: float) -> bool:
        """Whether all streams have ended, waiting this long at most.

        Raises:
            Exception: an error that nobody foresaw ended a stream.
        """
        until_s = time.monotonic() + timeout_s
        for stream in self._streams:
            stream.done.wait(max(0.0, until_s - time.monotonic()))
            if stream.failure is not None:
                raise stream.failure
        return all(stream.done.is_set() for stream in self._streams)

    def close(self) -> None:
        """Interrupt what still runs, deliver for 10 s at most, disconnect."""
        self.interrupt()
        for stream in self._streams:
            stream.done.wait(2 * _LAST_WORDS_S)
        if self._owns_outlet:
            self._outlet.close()

    def __enter__(self) -> "Publication":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _stream(self, stream_id: str, source: Source, options: PublishOptions) -> "_Stream":
        publisher = FramePublisher(
            stream_id,
            outlet=self._outlet,
            freshness_ms=options.freshness_ms if self._outlet.live else None,
            partition=options.partition,
            partition_by=options.partition_by,
            state=State.STARTING if source.live else State.RUNNING,
        )
        return _Stream(publisher, source, options, self._noticed)


class _Stream:
    """One source, from its first picture to the last acknowledgement."""

    def __init__(
        self,
        publisher: FramePublisher,
        source: Source,
        options: PublishOptions,
        noticed: deque[Notice],
    ) -> None:
        self.publisher = publisher
        self.thread = threading.Thread(
            target=self._run, name=f"framefuse-stream-{publisher.stream_id}", daemon=True
        )
        self._source, self._options, self._noticed = source, options, noticed
        self._stop, self._ended = threading.Event(), END_OF_SOURCE
        self._paced = (options.realtime or options.live) and not source.live
        self.done = threading.Event()
        """Instead of `join`, which takes a thread for ended when Ctrl-C interrupts it (CPython 3.11)."""
        self._pacer = Pacer()
        self._began_s = time.monotonic()
        self._took_s: float | None = None
        self._damaged, self._why = False, ""
        self.failure: Exception | None = None

    def interrupt(self, ended: str) -> None:
        """Read no further."""
        if not self._stop.is_set():
            self._ended = ended
            self._stop.set()
            self.publisher.interrupt()

    def progress(self, trouble: str) -> Progress:
        took_s = self._took_s
        return Progress(
            stream_id=self.publisher.stream_id,
            title=self._source.title,
            run_id=self.publisher.run_id,
            sums=self.publisher.sums,
            elapsed_s=time.monotonic() - self._began_s if took_s is None else took_s,
            waiting_for=self.publisher.waiting_for,
            ended=took_s is not None,
            damaged=self._damaged,
            state=self.publisher.state,
            why=self._why,
            trouble=trouble if took_s is None else "",
        )

    def _run(self) -> None:
        for step in (self._publish, self._deliver):
            try:
                step()
            except PublisherClosed:
                continue
            except FramefuseError as error:
                self._damaged, self._ended = True, str(error)
                self._notice(str(error), grave=True)
            except Exception as error:
                self._damaged, self.failure = True, error
                self._ended = f"{type(error).__name__}, unforeseen"  # its words may hold anything
        self._took_s = time.monotonic() - self._began_s
        self.done.set()

    def _publish(self) -> None:
        left = self._options.limit
        for item in self._source:
            if isinstance(item, Picture):
                if self._stop.wait(self._pause_s(item)):
                    return
                if self._send(item) and left is not None:
                    left -= 1
            else:
                self._take_note(item)
            self.publisher.turn()
            if left == 0 or self._stop.is_set():
                return

    def _deliver(self) -> None:
        self.publisher.close(_LAST_WORDS_S if self._stop.is_set() else None, ended=self._ended)

    def _pause_s(self, picture: Picture) -> float:
        return self._pacer.wait_s(picture.pts_s, time.monotonic()) if self._paced else 0.0

    def _send(self, picture: Picture) -> bool:
        """Whether the picture became a frame."""
        encoded = EncodedImage(picture.image, picture.encoding, picture.width, picture.height)
        try:
            self.publisher.publish_encoded(
                encoded,
                captured_at=datetime.now(UTC) if self._paced else picture.captured_at,
                taken_s=picture.taken_s,
            )
        except UnreadableImage as error:
            self._notice(f"{self._source.title}, at {picture.pts_s:.2f} s: {error}", grave=True)
            return False
        if self.publisher.state is State.STARTING:
            self.publisher.turn(State.RUNNING)
        return True

    def _take_note(self, item: Rejected | Damaged | Skipped | Dropped | Condition) -> None:
        if isinstance(item, Dropped):
            self.publisher.count_dropped(item.count)
            return
        if isinstance(item, Condition):
            self._turn(item)
            return
        if isinstance(item, Rejected):
            self.publisher.count_rejected()
        elif isinstance(item, Damaged):
            self._damaged = True
        text = item.reason if item.what in item.reason else f"{item.what}: {item.reason}"
        self._notice(text, grave=not isinstance(item, Skipped))

    def _turn(self, condition: Condition) -> None:
        if condition.why and condition.why != self._why:
            self._notice(f"{condition.state.value.lower()}: {condition.why}", grave=False)
        elif self._why and condition.state is State.RUNNING:
            self._notice("running again", grave=False)
        self._why = condition.why
        self.publisher.turn(condition.state)

    def _notice(self, text: str, *, grave: bool) -> None:
        self._noticed.append(Notice(self.publisher.stream_id, text, grave))
