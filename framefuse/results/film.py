"""A film of one stream's results: each frame's picture, read back from `frames`, beside its depth map."""

from collections import deque
from datetime import datetime
from pathlib import Path
from typing import Self

from framefuse.errors import Poison, Retry
from framefuse.kafka import Message, Reader
from framefuse.kafka.schema_topic import SchemaTopic
from framefuse.pictures.decoding import decode as decode_picture
from framefuse.pictures.overlay import side_by_side
from framefuse.pictures.video import VideoWriter
from framefuse.results.watching import latency_ms
from framefuse.settings import KafkaSettings
from framefuse.types import Image, Partition
from schemas.codec import NotARecord, decode
from schemas.records import Frame, FrameRef, Fused

_FPS = 25.0
_LONGEST_STEP_S = 1.0
_PANEL_WIDTH_PX = 640
_POLLS = 50
_AHEAD = 8


class FramePictures:
    """The pictures of frames by their place; quick when asked in the order of the log."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._reader = Reader(settings, prefetch=_AHEAD, client_id="framefuse-pictures")
        self._book = SchemaTopic(settings, announce=False).book
        self._fetched: deque[Message] = deque()
        self._at: tuple[Partition, int] | None = None

    def get(self, ref: FrameRef) -> Image | None:
        """The picture of this frame, H×W×3 uint8 BGR; None if retention removed it or it cannot be decoded.

        Raises:
            Retry: the broker does not answer.
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
        if self._at is None or self._at[0] != part or not self._comes(offset):
            self._fetched.clear()
            self._reader.assign({part: offset})
        self._at = part, offset
        for _ in range(_POLLS):
            if self._fetched:
                # A later one comes first where retention has removed this one.
                return self._fetched[0] if self._fetched[0].offset == offset else None
            self._fetched.extend(m for m in self._reader.poll(0.2, _AHEAD) if m.offset >= offset)
        raise Retry(f"{part.topic}-{part.number}@{offset} could not be read")

    def _comes(self, offset: int) -> bool:
        """Whether reading on meets this offset soon."""
        last = self._at[1] if self._at else 0
        if self._fetched:
            return self._fetched[0].offset <= offset
        return last < offset <= last + _AHEAD


class ResultFilm:
    """An H.264 mp4 of one stream; a context manager. Plays at the speed of the camera's clock."""

    def __init__(self, path: Path, settings: KafkaSettings) -> None:
        """Create the file.

        Raises:
            BadInput: it cannot be created.
        """
        self._film = VideoWriter(path, fps=_FPS)
        self._pictures = FramePictures(settings)
        self._at_s = 0.0
        self._before: datetime | None = None
        self.without_picture = 0
        """Results that are not in the film, because their frame's picture is gone or unreadable."""

    @property
    def written(self) -> int:
        """Pictures so far."""
        return self._film.written

    def add(self, fused: Fused) -> None:
        """Append a result.

        Raises:
            Retry: the broker does not answer.
        """
        image = self._pictures.get(fused.frame)
        if image is None:
            self.without_picture += 1
            return
        self._at_s += self._step_s(fused.captured_at)
        header = f"{fused.stream_id}  #{fused.sequence}  {latency_ms(fused):.0f} ms"
        width = min(_PANEL_WIDTH_PX, fused.width)
        self._film.write(side_by_side(image, fused, header, width=width), at_s=self._at_s)

    def close(self) -> None:
        """Finish the file."""
        self._pictures.close()
        self._film.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _step_s(self, captured_at: datetime) -> float:
        """Time since the picture before; a new run, or a clock that stepped, is no pause."""
        if self._before is None:
            self._before = captured_at
            return 0.0
        step_s = (captured_at - self._before).total_seconds()
        self._before = captured_at
        return step_s if 0 < step_s <= _LONGEST_STEP_S else 1 / _FPS
