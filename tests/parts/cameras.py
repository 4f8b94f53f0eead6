"""What tests of cameras share: a camera opened by its URL, and waiting for what it says."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from ssl import SSLContext

from framefuse.publishing.sources import CameraOptions, Condition, Item, Picture, SourceOptions
from producers.camera import CameraSource
from producers.capture.addresses import parse
from producers.capture.watchdog import Patience
from schemas.records import State

_DEADLINE_S = 30.0


def open_camera(url: str, camera: CameraOptions | None = None) -> Iterator[Item]:
    """Its items; a silent one is stalled after 1 s and given up after 10 s."""
    options = SourceOptions(camera=camera or CameraOptions())
    return iter(CameraSource(parse(url), options, Patience(least_s=1.0, given_up_after=10.0)))


def first_picture(items: Iterator[Item]) -> Picture:
    """The next one."""
    found = until(items, lambda item: isinstance(item, Picture))
    assert isinstance(found, Picture)
    return found


def is_state(state: State) -> Callable[[Item], bool]:
    """Whether an item says that the camera is so."""
    return lambda item: isinstance(item, Condition) and item.state is state


def until(items: Iterator[Item], wanted: Callable[[Item], bool]) -> Item:
    """The first item that is wanted."""
    until_s = time.monotonic() + _DEADLINE_S
    for item in items:
        if wanted(item):
            return item
        assert time.monotonic() < until_s, f"still {item!r:.200}"
    raise AssertionError("the camera ended")


@contextmanager
def http_server(
    answer: Callable[[BaseHTTPRequestHandler], None], *, tls: SSLContext | None = None
) -> Iterator[int]:
    """The port of an HTTP server on 127.0.0.1."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                answer(self)
            except OSError:
                return  # the client left

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        server.daemon_threads = True
        server.block_on_close = False
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()


def mjpeg(jpeg: bytes) -> Callable[[BaseHTTPRequestHandler], None]:
    """One JPEG again and again, 20 times a second, as cameras send them over HTTP."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
        request.end_headers()
        head = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n".encode()
        while True:
            request.wfile.write(head + jpeg + b"\r\n")
            time.sleep(0.05)

    return answer


def folder(path: Path) -> Callable[[BaseHTTPRequestHandler], None]:
    """The files of a folder."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        file = path / request.path.strip("/")
        if not file.is_file():
            request.send_error(404)
            return
        content = file.read_bytes()
        request.send_response(200)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)

    return answer
