"""The pictures of frames, read back from `frames` by the place that every result carries. Keeps none."""

from collections import deque

from framefuse.errors import Poison, Retry
from framefuse.kafka import Message, Reader
from framefuse.kafka.schema_topic import SchemaTopic
from framefuse.pictures.decoding import decode as decode_picture
from framefuse.settings import KafkaSettings
from framefuse.types import Image, Partition
from schemas.codec import NotARecord, decode
from schemas.records import Frame, FrameRef

_POLLS = 50
_LOOKS_AT_BOUNDS = (3, 20)
"""Polls without an answer before it is asked what the log holds."""
_AHEAD = 8


class FramePictures:
    """The pictures of frames by their place; quick when asked in the order of the log."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._reader = Reader(settings, prefetch=_AHEAD, client_id="framefuse-pictures")
        self._book = SchemaTopic(settings, announce=False).book
        self._fetched: deque[Message] = deque()
        self._at: tuple[Partition, int] | None = None
        self._starts: dict[Partition, int] = {}

    def get(self, ref: FrameRef) -> Image | None:
        """The picture of this frame, H×W×3 uint8 BGR; None if retention removed it or it cannot be decoded.

        Raises:
            Retry: the broker does not answer.
            Stop: the topic is gone.
        """
        message = self._message(Partition(ref.topic, ref.partition), ref.offset)
        if message is None:
            return None
        try:
            frame = decode(message.value, Frame, self._book)
            return decode_picture(frame.image, frame.encoding)
        except (NotARecord, Poison):
            return None

    def close(self) -> None:
        """Disconnect."""
        self._reader.close()

    def _message(self, part: Partition, offset: int) -> Message | None:
        while self._fetched and self._fetched[0].offset < offset:
            self._fetched.popleft()
        if offset < self._starts.get(part, 0):
            return None
        if self._at is None or self._at[0] != part or not self._comes(offset):
            self._fetched.clear()
            self._reader.assign({part: offset})
        self._at = part, offset
        for asked in range(_POLLS):
            if self._fetched:
                return self._first(part, offset)
            if asked in _LOOKS_AT_BOUNDS and not self._has(part, offset):
                return None
            self._fetched.extend(m for m in self._reader.poll(0.2, _AHEAD) if m.offset >= offset)
        raise Retry(f"{part.topic}-{part.number}@{offset} could not be read")

    def _first(self, part: Partition, offset: int) -> Message | None:
        """What came first: another one where retention has removed this one and all before."""
        first = self._fetched[0]
        if first.offset == offset:
            return first
        self._starts[part] = first.offset
        return None

    def _has(self, part: Partition, offset: int) -> bool:
        """Whether the log holds this offset; not if retention has emptied it or the topic was made anew."""
        start, end = self._reader.bounds(part.topic)[part]
        self._starts[part] = start
        return start <= offset < end

    def _comes(self, offset: int) -> bool:
        """Whether reading on meets this offset soon."""
        last = self._at[1] if self._at else 0
        if self._fetched:
            return self._fetched[0].offset <= offset
        return last < offset <= last + _AHEAD
