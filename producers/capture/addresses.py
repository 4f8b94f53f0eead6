"""Addresses of cameras: which schemes there are, what may be shown of them, how FFmpeg is to open them.

No function here touches the network, and what leaves this file for people holds no credentials.
"""

import re
import ssl
import sys
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, urlsplit

from framefuse.errors import BadInput
from framefuse.publishing.decisions import stream_id_from
from framefuse.publishing.sources import CameraOptions
from framefuse.streams.credentials import masked, resolve

DEVICE = "camera"
NETWORK = frozenset({"rtsp", "rtsps", "http", "https"})
_EXAMPLES = "camera:0, rtsp://user:${CAM_PASSWORD}@10.0.0.11/stream1 or http://10.0.0.12/video.mjpg"
_DEVICE_PARAMETERS = {"size": "video_size", "fps": "framerate", "format": "input_format"}
_GRABBERS = {"linux": "v4l2", "darwin": "avfoundation", "win32": "dshow"}
_PROTOCOLS = {
    "rtsp": "rtsp,rtp,udp,tcp",
    "rtsps": "rtsps,rtp,udp,tcp,tls,srtp",
    "http": "http,https,tcp,tls,crypto,httpproxy",
    "https": "http,https,tcp,tls,crypto,httpproxy",
}
"""What FFmpeg may speak behind an address: never `file`, whatever a playlist asks for; rtsps stays secure."""
_AUTHORITIES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
)
"""Where systems have them all in one file, which is all that FFmpeg reads."""
FORMATS = (
    *("mpjpeg", "mjpeg", "jpeg_pipe", "hls", "mpegts", "mov", "mp4", "matroska", "webm", "flv", "avi"),
    *("h264", "hevc", "aac", "mp3", "webvtt"),
)
"""What may come over HTTP: nothing that FFmpeg would draw, join or compute."""


@dataclass(frozen=True, slots=True)
class Opening:
    """What `av.open` is told; holds credentials."""

    url: str = field(repr=False)
    format: str | None
    options: dict[str, str] = field(repr=False)
    bound: bool = False
    """To this address: a redirect is not followed."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a camera is, as its user wrote it."""

    text: str = field(repr=False)
    """With references to credentials, or with credentials."""
    scheme: str
    title: str
    """What may be shown."""

    @property
    def stream_id(self) -> str:
        """A name: host and path of a URL, number of a device."""
        if self.scheme == DEVICE:
            return stream_id_from(f"camera-{_device_parts(self.text)[0].rpartition('/')[2]}")
        plain = re.sub(r"\$\{[^{}]*\}", "", self.title).partition("://")[2]
        where, _, path = re.split(r"[?#]", plain, maxsplit=1)[0].partition("/")
        return stream_id_from(f"{where.rpartition('@')[2]}-{path}".replace("***", ""))

    def opening(self, options: CameraOptions) -> Opening:
        """How to open it now: references become what they stand for.

        Raises:
            BadInput: a reference cannot be resolved, or the address is none.
        """
        if self.scheme == DEVICE:
            return _of_device(self.text)
        url = resolve(self.text)
        split_url(url, self.title)
        common = {"protocol_whitelist": _PROTOCOLS[self.scheme]}
        secure = self.scheme in ("rtsps", "https")
        tls = _tls(verify=options.verify_tls) if secure or self.scheme == "http" else {}
        if self.scheme in ("rtsp", "rtsps"):
            return Opening(url, "rtsp", {**common, **tls, **_rtsp(options, secure=secure)})
        return Opening(url, None, {**common, **tls, "format_whitelist": ",".join(FORMATS)})


def parse(text: str) -> Address:
    """The address, checked as far as it can be without the network.

    Raises:
        BadInput: not an address of a camera, a credential that is not there, or a device that is not.
    """
    scheme = text.partition(":")[0].lower()
    if scheme == DEVICE:
        _of_device(text)
        return Address(text, scheme, text)
    title = masked(text)
    if scheme not in NETWORK or "://" not in text:
        raise BadInput(f"{title}: not the address of a camera, expected one such as {_EXAMPLES}")
    split_url(resolve(text), title)
    return Address(text, scheme, title)


def split_url(url: str, title: str) -> SplitResult:
    """The parts of a URL that holds credentials.

    Raises:
        BadInput: it has no host, or a port that is none; the message has `title` instead.
    """
    try:
        parts = urlsplit(url)
        if not parts.hostname or parts.port == 0:
            raise ValueError
    except ValueError:
        raise BadInput(f"{title}: no host and port can be read from it, expected {_EXAMPLES}") from None
    return parts


def _rtsp(options: CameraOptions, *, secure: bool) -> dict[str, str]:
    return {
        "rtsp_transport": "tcp" if secure else options.rtsp_transport,
        "allowed_media_types": "video",
        # µs to wait for a missing UDP packet; by itself FFmpeg waits as long as a frame is fresh.
        "max_delay": "200000",
        "analyzeduration": "1000000",
        "fflags": "+nobuffer",
    }


def _tls(*, verify: bool) -> dict[str, str]:
    """FFmpeg verifies nothing by itself."""
    if not verify:
        return {"tls_verify": "0"}
    authorities = authorities_file()
    return {"tls_verify": "1", **({"ca_file": authorities} if authorities else {})}


def authorities_file() -> str | None:
    """Who may sign the certificates of cameras: `SSL_CERT_FILE`, or this system's authorities."""
    named = ssl.get_default_verify_paths().cafile
    return named or next((path for path in _AUTHORITIES if Path(path).is_file()), None)


def _device_parts(text: str) -> tuple[str, dict[str, str]]:
    name, _, query = text.partition(":")[2].partition("?")
    return name, dict(parse_qsl(query, keep_blank_values=True))


def _of_device(text: str) -> Opening:
    name, parameters = _device_parts(text)
    unknown = sorted(set(parameters) - set(_DEVICE_PARAMETERS))
    if not name or unknown:
        what = f"no parameter '{unknown[0]}'" if unknown else "which one?"
        raise BadInput(f"{text}: {what}, expected such as camera:0?size=1280x720&fps=30&format=mjpeg")
    grabber = _GRABBERS.get(sys.platform)
    if grabber is None:
        raise BadInput(f"{text}: local cameras are not known on {sys.platform}")
    options = {_DEVICE_PARAMETERS[key]: value for key, value in parameters.items()}
    if grabber == "v4l2":
        name = f"/dev/video{name}" if name.isdecimal() else name
        _check_device(text, name)
    elif grabber == "dshow":
        name = f"video={name}"
    return Opening(name, grabber, options)


def _check_device(text: str, name: str) -> None:
    if not Path(name).exists():
        there = ", ".join(sorted(str(path) for path in Path("/dev").glob("video*"))) or "none"
        raise BadInput(f"{text}: no device {name}; there is {there}. In a container: --device {name}")
