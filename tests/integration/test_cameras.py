"""Cameras over RTSP and HTTP: they come, stop, freeze, come back, and tell nobody their passwords."""

import logging

import numpy as np
import pytest

from framefuse.pictures.encoding import encoded
from framefuse.publishing.sources import Condition
from producers.capture.addresses import parse
from schemas.records import State
from tests.parts import rtsp_server
from tests.parts.cameras import first_picture, http_server, is_state, mjpeg, open_camera, until
from tests.parts.rtsp_server import LOGIN, RtspServer

_WRONG = "n0t-the-p4ssword"


@pytest.fixture(scope="module")
def launch(tmp_path_factory: pytest.TempPathFactory) -> str:
    if reason := rtsp_server.missing():
        pytest.skip(reason)
    return rtsp_server.h264(rtsp_server.write_video(tmp_path_factory.mktemp("camera") / "minute.mp4"))


def test_pictures_come_over_tcp_and_go_on_when_the_server_is_started_again(launch: str) -> None:
    with RtspServer(launch) as server:
        items = open_camera(server.url)
        picture = first_picture(items)
        assert (picture.width, picture.height) == (160, 120)
        server.stop()
        lost = until(items, is_state(State.RECONNECTING))
        assert lost == Condition(State.RECONNECTING, "the camera ended the stream")
        server.start()
        until(items, is_state(State.RUNNING))
        assert first_picture(items).pts_s > picture.pts_s


def test_a_server_that_is_frozen_is_stalled_and_goes_on_when_it_thaws(launch: str) -> None:
    with RtspServer(launch) as server:
        items = open_camera(server.url)
        first_picture(items)
        server.freeze()
        until(items, is_state(State.STALLED))
        server.thaw()
        until(items, is_state(State.RUNNING))
        first_picture(items)


def test_a_password_with_odd_characters_is_taken_from_a_variable(
    launch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAM_PASSWORD", LOGIN[1])
    with RtspServer(launch, login=LOGIN) as server:
        items = open_camera(server.url.replace("rtsp://", f"rtsp://{LOGIN[0]}:${{CAM_PASSWORD}}@"))
        first_picture(items)


def test_a_wrong_password_is_told_without_the_password(
    launch: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with RtspServer(launch, login=LOGIN) as server:
        url = server.url.replace("rtsp://", f"rtsp://{LOGIN[0]}:{_WRONG}@")
        told = until(open_camera(url), is_state(State.RECONNECTING))
    assert "refuses the login" in str(told)
    _hidden(str(told), parse(url).title, repr(parse(url)), caplog.text, *capfd.readouterr())


def test_a_refused_connection_is_told_without_the_password(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    url = f"rtsp://viewer:{_WRONG}@127.0.0.1:{rtsp_server.free_port()}/cam"
    told = until(open_camera(url), is_state(State.RECONNECTING))
    assert "connection refused" in str(told)
    _hidden(str(told), parse(url).title, repr(parse(url)), caplog.text, *capfd.readouterr())


def test_the_jpegs_of_a_camera_over_http_are_passed_on_byte_for_byte() -> None:
    jpeg = encoded(np.full((120, 160, 3), 90, np.uint8), quality=90, max_side_px=None).image

    with http_server(mjpeg(jpeg)) as port:
        picture = first_picture(open_camera(f"http://127.0.0.1:{port}/video.mjpg"))
    assert picture.image == jpeg


def _hidden(*texts: str) -> None:
    assert not [text for text in texts if _WRONG in text]
