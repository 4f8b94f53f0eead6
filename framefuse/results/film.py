"""A film of one stream's results: each frame's picture, read back from `frames`, beside its depth map."""

from pathlib import Path
from typing import Self

from framefuse.pictures.overlay import side_by_side
from framefuse.pictures.video import VideoWriter
from framefuse.results.frame_pictures import FramePictures
from framefuse.results.watching import latency_ms
from framefuse.settings import KafkaSettings
from schemas.records import Fused

_FPS = 25.0
_LONGEST_STEP_S = 2.0
_PANEL_WIDTH_PX = 640


class ResultFilm:
    """An H.264 mp4 of one stream, as fast as the camera's clock went (`step_s`); a context manager."""

    def __init__(self, path: Path, settings: KafkaSettings) -> None:
        """Create the file.

        Raises:
            BadInput: it cannot be created.
        """
        self._film = VideoWriter(path, fps=_FPS)
        self._pictures = FramePictures(settings)
        self._at_s = 0.0
        self._before: Fused | None = None
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
        self._at_s += step_s(self._before, fused)
        self._before = fused
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


def step_s(before: Fused | None, fused: Fused) -> float:
    """Time in a film since the picture before: as the camera's clock has it, a pause at most two seconds.

    A new run, or a clock that stepped back, is no pause.
    """
    if before is None:
        return 0.0
    step_s = (fused.captured_at - before.captured_at).total_seconds()
    if fused.run_id != before.run_id or step_s <= 0:
        return 1 / _FPS
    return min(step_s, _LONGEST_STEP_S)
