"""Where pictures come from: the protocol of a source, and finding sources by the scheme of their address.

A source yields encoded pictures and knows no Kafka. Installed packages add kinds of sources through the
entry-point group `framefuse.sources`: its name is the scheme (`file` for plain paths), its object an
`OpenSources`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import entry_points
from typing import Literal, Protocol

from framefuse.errors import BadInput
from framefuse.streams.credentials import masked
from schemas.records import Encoding, State

GROUP = "framefuse.sources"
PATHS = "file"
"""The scheme of an address without one: a path, a folder or a glob."""
_FAR = frozenset({"rtsp", "rtsps", "http", "https"})
"""Schemes that can lead to the public internet; who opens them sees to it that they do."""
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+-]+):")


@dataclass(frozen=True, slots=True)
class Picture:
    """One encoded picture, ready to become a frame."""

    image: bytes = field(repr=False)
    encoding: Encoding
    width: int
    """Pixels, as seen (after the rotation that its file asks for)."""
    height: int
    captured_at: datetime
    """UTC, for people."""
    pts_s: float
    """Seconds since the source began; what pacing goes by."""
    taken_s: float | None = None
    """`time.monotonic()` when it was taken, as far as the source can tell; None: when it is yielded."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """Something in a source that cannot become a frame; the source goes on after it."""

    what: str
    reason: str


@dataclass(frozen=True, slots=True)
class Damaged:
    """A part of a source that cannot be read, such as the end of a cut-off video: of unknown length."""

    what: str
    reason: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that is no picture and need not be one; the user is told, nothing is missing."""

    what: str
    reason: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """Pictures of a live source that it gave up for newer ones, because nobody took them in time."""

    count: int


@dataclass(frozen=True, slots=True)
class Condition:
    """How a live source is from now on: STARTING, RUNNING, STALLED or RECONNECTING.

    Comes at every change, and at least once a second while no picture comes, so that whoever iterates a
    silent camera can stop, and can tell others that it still is as it was.
    """

    state: State
    why: str = ""
    """For people, without credentials; empty while it runs."""


Item = Picture | Rejected | Damaged | Skipped | Dropped | Condition


class Source(Protocol):
    """One stream of pictures. Iterated once, by one thread."""

    @property
    def title(self) -> str:
        """What it is, for messages; no credentials."""

    @property
    def stream_id(self) -> str:
        """The stream id to use when the user names none."""

    @property
    def live(self) -> bool:
        """Whether it runs by a clock of its own (a camera), so that newer pictures matter more."""

    def __iter__(self) -> Iterator[Item]:
        """Its pictures in order. Closing the iterator releases what it holds."""


@dataclass(frozen=True, slots=True)
class CameraOptions:
    """How cameras are reached."""

    rtsp_transport: Literal["tcp", "udp"] = "tcp"
    verify_tls: bool = True
    """Whether rtsps: and https: cameras must have a certificate that this host trusts."""
    public_only: bool = False
    """Open cameras of the public internet only, nothing of this host: for addresses that strangers gave."""


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """How pictures are read, the same for all sources of one command."""

    fps: float | None = None
    """Keep at most this many pictures a second, evenly spread; images come at this rate."""
    loop: bool = False
    """Start again at the end, without end."""
    quality: int = 90
    """JPEG quality, 1 to 100, where a picture has to be encoded."""
    max_side_px: int | None = None
    """Shrink larger pictures to this long side."""
    recursive: bool = False
    """Look into the folders of a folder."""
    camera: CameraOptions = CameraOptions()


class OpenSources(Protocol):
    """What an entry point of `framefuse.sources` is."""

    def __call__(self, addresses: Sequence[str], options: SourceOptions) -> Sequence[Source]:
        """The sources at these addresses, all of one scheme; cheap, reads no picture.

        Raises:
            BadInput: an address names nothing that can be read.
        """


def scheme_of(address: str) -> str:
    """The scheme of an address in lower case, `file` for a path; one letter (`C:`) is not a scheme."""
    found = _SCHEME.match(address)
    return found.group(1).lower() if found else PATHS


def open_sources(
    addresses: Sequence[str], options: SourceOptions, openers: Mapping[str, OpenSources] | None = None
) -> list[Source]:
    """All sources at `addresses`, in order of the first address of each scheme.

    Args:
        addresses: paths, folders, globs and URLs.
        options: how to read them.
        openers: what opens each scheme; without it, the installed ones.

    Raises:
        BadInput: an unknown scheme, an address that names nothing, or one that is refused by the options.
    """
    by_scheme: dict[str, list[str]] = {}
    for address in addresses:
        by_scheme.setdefault(scheme_of(address), []).append(address)
    known = installed() if openers is None else openers
    for scheme, (address, *_) in by_scheme.items():
        if scheme not in known:
            raise BadInput(
                f"{masked(address)}: no source has the scheme '{scheme}:', "
                f"expected a path or one of {', '.join(sorted(known))}"
            )
        if options.camera.public_only and scheme not in _FAR:
            raise BadInput(
                f"{masked(address)}: not opened while only public addresses are allowed, "
                f"expected one of {', '.join(sorted(_FAR))}"
            )
    return [source for scheme, these in by_scheme.items() for source in known[scheme](these, options)]


def installed() -> dict[str, OpenSources]:
    """The kinds of sources that the installed packages bring, by scheme."""
    return {point.name: point.load() for point in entry_points(group=GROUP)}
