"""Cameras as sources: local devices, RTSP, MJPEG and HLS over HTTP.

    camera:0                         a device of this host; camera:0?size=1280x720&fps=30&format=mjpeg
    rtsp://user:${CAM_PASSWORD}@host/stream1
    http://host/video.mjpg           JPEGs are passed on as they come
    https://host/live.m3u8

A camera never ends by itself: when it is silent or gone, it is stalled or reconnecting, and comes back; a
file or a complete playlist over HTTP ends. `captured_at` is this host's clock when a picture came, less what
the camera's own timestamps show that it was late. Opens networks and devices, never Kafka.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from framefuse.publishing.sources import Item, Source, SourceOptions
from producers.capture.addresses import Address, parse
from producers.capture.capturing import Capturing
from producers.capture.watchdog import Patience


@dataclass(frozen=True, slots=True)
class CameraSource:
    """One camera."""

    address: Address
    options: SourceOptions
    patience: Patience = field(default_factory=Patience)
    live: bool = True

    @property
    def title(self) -> str:
        """Its address without credentials."""
        return self.address.title

    @property
    def stream_id(self) -> str:
        """From its host and path, or the number of the device."""
        return self.address.stream_id

    def __iter__(self) -> Iterator[Item]:
        """Its pictures and how it is; see `Condition`."""
        return Capturing(self.address, self.options, self.patience).items()


def open_sources(addresses: Sequence[str], options: SourceOptions) -> Sequence[Source]:
    """The cameras at these addresses; none is opened yet.

    Raises:
        BadInput: not an address of a camera, no such device, or a credential that is not there.
    """
    return [CameraSource(parse(address), options) for address in addresses]
