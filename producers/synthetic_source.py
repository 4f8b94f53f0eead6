"""`synthetic:` addresses: a scene as a source, such as `synthetic:?seed=7&size=640x384&fps=10&seconds=30`.

The same address gives the same pictures on every machine; `synthetic.py` draws them.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from urllib.parse import parse_qsl, urlsplit

from framefuse.errors import BadInput
from framefuse.pictures.encoding import encode_jpeg, shrink
from framefuse.publishing.sources import Item, Picture, Source, SourceOptions
from producers.synthetic import render
from schemas.records import Encoding

_EXAMPLE = "synthetic:?seed=7&size=640x384&fps=10&seconds=30"
_SCENE_CLOCK = datetime(2026, 1, 1, 12, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class SceneSource:
    """A scene, drawn as it is asked for."""

    stream_id: str
    title: str
    options: SourceOptions
    seed: int
    width: int
    height: int
    fps: float
    seconds: float
    """Length; the scene goes on without end with `loop`."""
    live: bool = False

    def __iter__(self) -> Iterator[Item]:
        """The pictures, `--fps` before the address's own."""
        fps = self.options.fps or self.fps
        for number in count():
            pts_s = number / fps
            if pts_s >= self.seconds and not self.options.loop:
                return
            image = shrink(render(self.seed, pts_s, self.width, self.height).image, self.options.max_side_px)
            yield Picture(
                image=encode_jpeg(image, self.options.quality),
                encoding=Encoding.JPEG,
                width=image.shape[1],
                height=image.shape[0],
                captured_at=_SCENE_CLOCK + timedelta(seconds=pts_s),
                pts_s=pts_s,
            )


def open_sources(addresses: Sequence[str], options: SourceOptions) -> Sequence[Source]:
    """The scenes at these addresses.

    Raises:
        BadInput: an unknown or unusable part of an address.
    """
    return [_open(address, options) for address in addresses]


def _open(address: str, options: SourceOptions) -> SceneSource:
    wanted = {"seed": "7", "size": "640x384", "fps": "10", "seconds": "30"}
    parts = urlsplit(address)
    if parts.path or parts.netloc:
        raise BadInput(f"{address}: expected parameters after '?', such as {_EXAMPLE}")
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name not in wanted:
            raise BadInput(f"{address}: no parameter '{name}', there are {', '.join(wanted)}")
        wanted[name] = value
    width, height = _size(address, wanted["size"])
    return SceneSource(
        stream_id=f"synthetic-{wanted['seed']}"[:64],
        title=address,
        options=options,
        seed=int(_positive(address, wanted, "seed", whole=True)),
        width=width,
        height=height,
        fps=_positive(address, wanted, "fps"),
        seconds=_positive(address, wanted, "seconds"),
    )


def _size(address: str, text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{2,4})x(\d{2,4})", text)
    sides = (int(found[1]), int(found[2])) if found else (0, 0)
    if min(sides) < 16:
        raise BadInput(f"{address}: size '{text}', expected WIDTHxHEIGHT of 16 to 9999 pixels, as 640x384")
    return sides


def _positive(address: str, wanted: dict[str, str], name: str, *, whole: bool = False) -> float:
    kind = "a whole number from 0" if whole else "a number above 0"
    if not re.fullmatch(r"\d{1,9}" if whole else r"\d{1,9}(\.\d+)?", wanted[name]):
        raise BadInput(f"{address}: {name} '{wanted[name]}', expected {kind}")
    value = float(wanted[name])
    if not whole and value <= 0:
        raise BadInput(f"{address}: {name} '{wanted[name]}', expected {kind}")
    return value
