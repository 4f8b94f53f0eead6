"""Read and write video files, with real timestamps. Knows pixels and seconds: no stream, no Kafka.

Reading is forgiving: what decodes is given, and `VideoReader.trouble` says afterwards what did not. Written
files play in any browser: H.264, yuv420p, even sides, the index in front.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import av.container
import av.error
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream

from framefuse.errors import BadInput, Stop
from framefuse.types import Image

_CLOCK = Fraction(1, 90_000)
_SHORT_BY_FRAMES = 2.0
_TEXT_ART = frozenset({"adf", "bin", "idf", "tty", "xbin"})
"""FFmpeg draws the letters of any text file as a film."""


@dataclass(frozen=True, slots=True)
class TimedImage:
    """One picture of a video, upright."""

    image: Image
    pts_s: float
    """Seconds since its first picture; never falls."""


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What the header of a video says."""

    fps: float | None
    """On average, where known."""
    duration_s: float | None
    frames: int | None
    created_at: datetime | None
    """UTC, where the camera wrote it."""


def _always(pts_s: float) -> bool:
    del pts_s
    return True


class VideoReader:
    """The pictures of a video file, in order of time. Iterate `frames` once; use as a context manager."""

    def __init__(self, path: Path) -> None:
        """Open the file and read its header.

        Raises:
            BadInput: there is no such file, or it is not a video that can be decoded.
        """
        self.trouble: str | None = None
        """After `frames` ended: what of the file could not be given; None when it was whole."""
        try:
            self._container = av.open(str(path), "r")
        except (av.error.FFmpegError, OSError) as error:
            raise BadInput(f"{path}: not a readable video ({_short(error)})") from None
        if not self._container.streams.video or self._container.format.name in _TEXT_ART:
            self._container.close()
            raise BadInput(f"{path}: holds no video track")
        self._stream = self._container.streams.video[0]
        self._stream.thread_type = "AUTO"
        self.info = _info_of(self._container, self._stream)
        self._packets = 0
        self._damaged = 0
        self._end_s = 0.0

    def frames(self, keep: Callable[[float], bool] = _always) -> Iterator[TimedImage]:
        """Decode the pictures.

        Args:
            keep: told the time of each picture in seconds; pictures it refuses are not converted.
        """
        start_s: float | None = None
        last_s = 0.0
        for frame in self._decoded():
            at_s = frame.time if frame.pts is not None else None
            if start_s is None:
                start_s = at_s or 0.0
            last_s = max(last_s, last_s if at_s is None else at_s - start_s)
            self._end_s = last_s
            if keep(last_s):
                yield TimedImage(upright(frame), last_s)
        self.trouble = self._what_is_missing()

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _decoded(self) -> Iterator[av.VideoFrame]:
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (av.error.FFmpegError, OSError):
                self._damaged += 1
                return
            if packet.size:
                self._packets += 1
            if packet.is_corrupt:
                self._damaged += 1
                continue
            try:
                yield from packet.decode()
            except (av.error.InvalidDataError, av.error.EOFError):
                self._damaged += 1

    def _what_is_missing(self) -> str | None:
        info = self.info
        short = False
        if info.duration_s and info.fps:
            short = self._end_s + _SHORT_BY_FRAMES / info.fps < info.duration_s
        if short and (info.frames is None or self._packets < info.frames):
            return f"cut off after {self._end_s:.1f} s, its header says {info.duration_s:.1f} s"
        if self._damaged:
            return f"{self._damaged} of its packets are damaged and were left out"
        return None


class VideoWriter:
    """Writes an H.264 mp4; use as a context manager. The file is whole only after `close`."""

    def __init__(self, path: Path, *, fps: float = 25.0, crf: int = 21) -> None:
        """Create the file.

        Args:
            path: where; an existing file is replaced.
            fps: pictures a second, where `write` is not told their times.
            crf: quality, from 0 (lossless) to 51; 18 to 28 make sense.

        Raises:
            BadInput: the file cannot be created.
        """
        self._path, self._fps, self._crf = path, fps, crf
        try:
            path.touch()
            self._container = av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"})
        except (av.error.FFmpegError, OSError) as error:
            raise BadInput(f"{path}: cannot be written ({_short(error)})") from None
        self._stream: VideoStream | None = None
        self._last_pts = -1
        self.written = 0
        """Pictures written so far."""

    def write(self, image: Image, *, at_s: float | None = None) -> None:
        """Append a picture.

        Args:
            image: H×W×3 uint8 BGR; the first one sets the size, an odd side is padded by one pixel.
            at_s: seconds since the start of the video; without, 1/fps after the picture before.

        Raises:
            ValueError: another size than the first picture.
        """
        image = _even(image)
        height, width = image.shape[:2]
        if self._stream is None:
            self._stream = self._begin(width, height)
        elif (self._stream.width, self._stream.height) != (width, height):
            raise ValueError(
                f"{width}×{height} picture in a video of {self._stream.width}×{self._stream.height}"
            )
        step = max(1, round(1 / (self._fps * _CLOCK)))
        pts = self._last_pts + step if at_s is None and self.written else round((at_s or 0.0) / _CLOCK)
        self._last_pts = max(pts, self._last_pts + 1)
        frame = av.VideoFrame.from_ndarray(image, format="bgr24").reformat(
            format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
        )
        frame.pts, frame.time_base = self._last_pts, _CLOCK
        self._container.mux(self._stream.encode(frame))
        self.written += 1

    def close(self) -> None:
        """Finish the file. A video without a picture is removed.

        Raises:
            Stop: it cannot be written, such as on a full disk.
        """
        if self._stream is None:
            with suppress(av.error.FFmpegError):
                self._container.close()
            self._path.unlink(missing_ok=True)
            return
        try:
            self._container.mux(self._stream.encode(None))
            self._container.close()
        except (av.error.FFmpegError, OSError) as error:
            raise Stop(f"{self._path}: could not be finished ({_short(error)})") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _begin(self, width: int, height: int) -> VideoStream:
        rate = Fraction(self._fps).limit_denominator(1001)
        stream = self._container.add_stream(
            "libx264", rate=rate, options={"crf": str(self._crf), "preset": "veryfast"}
        )
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = stream.codec_context.time_base = _CLOCK
        stream.codec_context.colorspace = Colorspace.ITU709
        stream.codec_context.color_range = ColorRange.MPEG
        return stream


def _info_of(container: av.container.InputContainer, stream: VideoStream) -> VideoInfo:
    duration_s = None
    if stream.duration is not None and stream.time_base is not None:
        duration_s = float(stream.duration * stream.time_base)
    elif container.duration is not None:
        duration_s = container.duration / 1_000_000
    return VideoInfo(
        fps=float(stream.average_rate) if stream.average_rate else None,
        duration_s=duration_s,
        frames=stream.frames or None,
        created_at=_parsed(container.metadata.get("creation_time")),
    )


def _parsed(text: str | None) -> datetime | None:
    try:
        found = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    if found is None or found.year < 1971:  # cameras without a clock write 1904 or 1970
        return None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def upright(frame: av.VideoFrame) -> Image:
    """The picture of a decoded frame, H×W×3 uint8 BGR, turned as its stream asks for."""
    image = frame.to_ndarray(format="bgr24").astype(np.uint8, copy=False)
    quarters = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(image, quarters)) if quarters else image


def _even(image: Image) -> Image:
    height, width = image.shape[:2]
    if height % 2 == 0 and width % 2 == 0:
        return np.ascontiguousarray(image)
    padded = cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    return padded.astype(np.uint8, copy=False)


def _short(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
