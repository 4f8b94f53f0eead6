"""Cameras over RTSP and HTTP: they come, stop, freeze, come back, and tell nobody their passwords."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from framefuse.pictures.encoding import encoded
from framefuse.publishing.sources import Condition, Item, Picture, SourceOptions
from producers.camera import CameraSource
from producers.capture.addresses import parse
from producers.capture.watchdog import Patience
from schemas.records import State
from tests.parts import rtsp_server
from tests.parts.rtsp_server import LOGIN, RtspServer

_WRONG = "n0t-the-p4ssword"
_DEADLINE_S = 30.0


@pytest.fixture(scope="module")
def launch(tmp_path_factory: pytest.TempPathFactory) -> str:
    if reason := rtsp_server.missing():
        pytest.skip(reason)
    return rtsp_server.h264(rtsp_server.write_video(tmp_path_factory.mktemp("camera") / "minute.mp4"))


def test_pictures_come_over_tcp_and_go_on_when_the_server_is_started_again(launch: str) -> None:
    with RtspServer(launch) as server:
        items = _open(server.url)
        picture = _until(items, lambda item: isinstance(item, Picture))
        assert isinstance(picture, Picture)
        assert (picture.width, picture.height) == (160, 120)
        server.stop()
        lost = _until(items, _is(State.RECONNECTING))
        assert lost == Condition(State.RECONNECTING, "the camera ended the stream")
        server.start()
        _until(items, _is(State.RUNNING))
        again = _until(items, lambda item: isinstance(item, Picture))
        assert isinstance(again, Picture)
        assert again.pts_s > picture.pts_s


def test_a_server_that_is_frozen_is_stalled_and_goes_on_when_it_thaws(launch: str) -> None:
    with RtspServer(launch) as server:
        items = _open(server.url)
        _until(items, lambda item: isinstance(item, Picture))
        server.freeze()
        _until(items, _is(State.STALLED))
        server.thaw()
        _until(items, _is(State.RUNNING))
        _until(items, lambda item: isinstance(item, Picture))


def test_a_password_with_odd_characters_is_taken_from_a_variable(
    launch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAM_PASSWORD", LOGIN[1])
    with RtspServer(launch, login=LOGIN) as server:
        items = _open(server.url.replace("rtsp://", f"rtsp://{LOGIN[0]}:${{CAM_PASSWORD}}@"))
        _until(items, lambda item: isinstance(item, Picture))


def test_a_wrong_password_is_told_without_the_password(
    launch: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with RtspServer(launch, login=LOGIN) as server:
        url = server.url.replace("rtsp://", f"rtsp://{LOGIN[0]}:{_WRONG}@")
        told = _until(_open(url), _is(State.RECONNECTING))
    assert "refuses the login" in str(told)
    _hidden(str(told), parse(url).title, repr(parse(url)), caplog.text, *capfd.readouterr())


def test_a_refused_connection_is_told_without_the_password(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    url = f"rtsp://viewer:{_WRONG}@127.0.0.1:{rtsp_server.free_port()}/cam"
    told = _until(_open(url), _is(State.RECONNECTING))
    assert "connection refused" in str(told)
    _hidden(str(told), parse(url).title, repr(parse(url)), caplog.text, *capfd.readouterr())


def test_the_jpegs_of_a_camera_over_http_are_passed_on_byte_for_byte() -> None:
    jpeg = encoded(np.full((120, 160, 3), 90, np.uint8), quality=90, max_side_px=None).image

    class Mjpeg(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
            self.end_headers()
            head = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n".encode()
            try:
                while True:
                    self.wfile.write(head + jpeg + b"\r\n")
                    time.sleep(0.05)
            except OSError:
                return  # the client left

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Mjpeg) as server:
        server.daemon_threads = True
        server.block_on_close = False
        threading.Thread(target=server.serve_forever, daemon=True).start()
        items = _open(f"http://127.0.0.1:{server.server_address[1]}/video.mjpg")
        picture = _until(items, lambda item: isinstance(item, Picture))
        server.shutdown()
    assert isinstance(picture, Picture)
    assert picture.image == jpeg


def _open(url: str) -> Iterator[Item]:
    return iter(CameraSource(parse(url), SourceOptions(), Patience(least_s=1.0, given_up_after=10.0)))


def _is(state: State) -> Callable[[Item], bool]:
    return lambda item: isinstance(item, Condition) and item.state is state


def _until(items: Iterator[Item], wanted: Callable[[Item], bool]) -> Item:
    until_s = time.monotonic() + _DEADLINE_S
    for item in items:
        if wanted(item):
            return item
        assert time.monotonic() < until_s, f"still {item!r:.200}"
    raise AssertionError("the camera ended")


def _hidden(*texts: str) -> None:
    assert not [text for text in texts if _WRONG in text]
