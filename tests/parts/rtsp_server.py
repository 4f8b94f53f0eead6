"""A real RTSP server for tests: GStreamer's, in a process of its own, run by the Python of the system.

Debian: apt-get install gir1.2-gst-rtsp-server-1.0 python3-gi. Tests that ask for one skip where it is not.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Self

SYSTEM_PYTHON = "/usr/bin/python3"
LOGIN = ("viewer", "s3cret/p@ss")
_READY_S = 20.0


def missing() -> str | None:
    """Why there can be no such server here; None: there can."""
    try:
        probe = [SYSTEM_PYTHON, "-c", "import gi; gi.require_version('GstRtspServer', '1.0')"]
        subprocess.run(probe, check=True, capture_output=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return "no RTSP server: apt-get install gir1.2-gst-rtsp-server-1.0 python3-gi"
    return None


def h264(video: Path) -> str:
    """What to send: a file with H.264, from its beginning for every client."""
    parts = "qtdemux ! h264parse config-interval=-1 ! rtph264pay name=pay0 pt=96"
    return f"( filesrc location={video} ! {parts} )"


def h265(video: Path) -> str:
    """The same with H.265."""
    parts = "qtdemux ! h265parse config-interval=-1 ! rtph265pay name=pay0 pt=96"
    return f"( filesrc location={video} ! {parts} )"


def raw_h264(video: Path) -> str:
    """The same without a container, so that the size may change amid it."""
    return f"( filesrc location={video} ! h264parse config-interval=-1 ! rtph264pay name=pay0 pt=96 )"


MJPEG = (
    "( videotestsrc is-live=true ! video/x-raw,format=I420,width=160,height=120,framerate=15/1 "
    "! jpegenc ! rtpjpegpay name=pay0 pt=26 )"
)
"""A moving test picture as JPEGs."""


def write_video(
    path: Path, *, codec: str = "libx264", seconds: int = 60, size: tuple[int, int] = (160, 120)
) -> Path:
    """15 frames a second, a key frame every second; each picture of another grey."""
    import av  # the Python of the system, which runs the server, has none of these
    import numpy as np

    options = {"g": "15", "bf": "0", "preset": "ultrafast"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=15, options=options)
        assert isinstance(stream, av.VideoStream)
        (stream.width, stream.height), stream.pix_fmt = size, "yuv420p"
        for number in range(15 * seconds):
            pixels = np.full((size[1], size[0], 3), number % 255, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def write_changing_video(path: Path, sizes: Sequence[tuple[int, int]], *, seconds_each: int = 1) -> Path:
    """H.264 without a container, of one size after the other, 15 frames a second, all of them noise."""
    import av
    import numpy as np

    noise = np.random.default_rng(3)
    with path.open("wb") as out:
        for width, height in sizes:
            coder = av.CodecContext.create("libx264", "w")
            coder.width, coder.height, coder.pix_fmt = width, height, "yuv420p"
            coder.framerate, coder.time_base = Fraction(15), Fraction(1, 15)
            coder.options = {"g": "15", "bf": "0", "preset": "ultrafast"}
            for number in range(15 * seconds_each):
                frame = av.VideoFrame.from_ndarray(noise.integers(0, 255, (height, width, 3), np.uint8))
                frame.pts = number
                out.writelines(bytes(packet) for packet in coder.encode(frame))
            out.writelines(bytes(packet) for packet in coder.encode(None))
    return path


def free_port() -> int:
    """A TCP port that nobody has now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class RtspServer:
    """Serves cameras; a context manager that can be stopped, frozen and started again."""

    def __init__(
        self,
        launch: str | Mapping[str, str],
        *,
        port: int | None = None,
        login: tuple[str, str] | None = None,
    ) -> None:
        """Start, and wait until it listens.

        Args:
            launch: a pipeline as gst-launch has it, its payloader called `pay0`, served at `/cam`; or several
                by path.
            port: a free one unless given.
            login: user and password that clients must give.
        """
        self.port = port or free_port()
        self._mounts = {"/cam": launch} if isinstance(launch, str) else dict(launch)
        self._login = login
        self.start()

    @property
    def url(self) -> str:
        """Where the first stream is, without credentials."""
        return self.url_of(next(iter(self._mounts)))

    def url_of(self, path: str) -> str:
        """Where the stream of a path is."""
        return f"rtsp://127.0.0.1:{self.port}{path}"

    def start(self) -> None:
        """Serve, after `stop`."""
        spec = {"port": self.port, "mounts": self._mounts, "login": self._login}
        self._process = subprocess.Popen(
            [SYSTEM_PYTHON, __file__, json.dumps(spec)],
            stderr=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")},
        )
        until_s = time.monotonic() + _READY_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1.0).close()
                return
            except OSError:
                assert self._process.poll() is None, "the RTSP server ended at once"
                assert time.monotonic() < until_s, "the RTSP server does not listen"
                time.sleep(0.05)

    def stop(self) -> None:
        """Kill it: its clients lose their connections."""
        self._process.kill()
        self._process.wait(10)

    def freeze(self) -> None:
        """Keep connections, send nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Go on."""
        self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()


def _serve(port: int, mounts: Mapping[str, str], login: list[str] | None) -> None:
    import gi

    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtsp", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GLib, Gst, GstRtsp, GstRtspServer

    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(str(port))
    if login:
        auth, token = GstRtspServer.RTSPAuth(), GstRtspServer.RTSPToken()
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        token.set_string("media.factory.role", "user")
        auth.add_digest(login[0], login[1], token)
        server.set_auth(auth)
    for path, launch in mounts.items():
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(launch)
        if login:
            factory.add_role_from_structure(_allowed(Gst))
        server.get_mount_points().add_factory(path, factory)
    server.attach(None)
    GLib.MainLoop().run()


def _allowed(gst: object) -> object:
    return gst.Structure.from_string(  # type: ignore[attr-defined]
        "user, media.factory.access=(boolean)true, media.factory.construct=(boolean)true"
    )[0]


if __name__ == "__main__":
    _serve(**json.loads(sys.argv[1]))
