"""What remains of the demo: a film of all streams side by side with their depth, and a contact sheet."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from framefuse.pictures.decoding import decode
from framefuse.pictures.overlay import contact_sheet, side_by_side
from framefuse.pictures.video import VideoWriter
from framefuse.types import Image
from schemas.records import Frame, Fused

Shots = Mapping[str, Sequence[tuple[Frame, Fused]]]
"""By stream: its frames with their results, in order."""

_PANEL_WIDTH = 560
_SHEET_MOMENTS = 3


def write_film(path: Path, shots: Shots, *, fps: float) -> int:
    """An H.264 mp4 with the streams below each other; the number of pictures written.

    A stream that ends before the others keeps its last picture.
    """
    with VideoWriter(path, fps=fps) as film:
        for picture in _moments(shots):
            film.write(picture)
        return film.written


def write_sheet(path: Path, shots: Shots) -> None:
    """A PNG with a few moments of every stream."""
    tiles = []
    for moment in range(_SHEET_MOMENTS):
        for stream, shot in shots.items():
            if shot:
                frame, fused = shot[min(len(shot) - 1, (2 * moment + 1) * len(shot) // (2 * _SHEET_MOMENTS))]
                tiles.append(_panel(stream, frame, fused))
    cv2.imwrite(str(path), contact_sheet(tiles, max(1, len(shots))))


def write_still(path: Path, shots: Shots) -> None:
    """A picture of the first stream as it was published, to try `framefuse infer` on."""
    shot = next(iter(shots.values()))
    path.write_bytes(shot[len(shot) // 2][0].image)


def _moments(shots: Shots) -> Iterator[Image]:
    longest = max(len(shot) for shot in shots.values())
    last: dict[str, Image] = {}
    for moment in range(longest):
        for stream, shot in shots.items():
            if moment < len(shot):
                last[stream] = _panel(stream, *shot[moment])
        yield _stacked(list(last.values()))


def _panel(stream: str, frame: Frame, fused: Fused) -> Image:
    image = decode(frame.image, frame.encoding)
    latency_ms = (fused.fused_at - fused.frame.appended_at).total_seconds() * 1000
    header = f"{stream}   #{fused.sequence}   {len(fused.objects)} objects   {latency_ms:.0f} ms"
    return side_by_side(image, fused, header, width=_PANEL_WIDTH)


def _stacked(panels: Sequence[Image]) -> Image:
    """Below each other; a narrower one is padded on the right."""
    width = max(panel.shape[1] for panel in panels)
    padded = [
        cv2.copyMakeBorder(panel, 0, 0, 0, width - panel.shape[1], cv2.BORDER_CONSTANT) for panel in panels
    ]
    return np.ascontiguousarray(np.vstack(padded), np.uint8)
