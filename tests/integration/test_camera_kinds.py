"""Every kind of camera gives pictures: codecs, transports, changes of size, damage, HLS, TLS."""

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from prometheus_client import REGISTRY

from framefuse.errors import BadInput
from framefuse.pictures.encoding import encoded
from framefuse.publishing.sources import CameraOptions, Item, Picture
from producers.capture.addresses import parse
from schemas.records import State
from tests.parts import rtsp_server
from tests.parts.cameras import first_picture, folder, http_server, is_state, mjpeg, open_camera, until
from tests.parts.certificates import Authority
from tests.parts.relay import LosePackets, Relay
from tests.parts.rtsp_server import RtspServer

UDP = CameraOptions(rtsp_transport="udp")
JPEG = encoded(np.full((120, 160, 3), 90, np.uint8), quality=90, max_side_px=None).image


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RtspServer]:
    """One server with a camera of every kind."""
    if reason := rtsp_server.missing():
        pytest.skip(reason)
    videos = tmp_path_factory.mktemp("videos")
    h264 = rtsp_server.write_video(videos / "h264.mp4", seconds=20)
    h265 = rtsp_server.write_video(videos / "h265.mp4", codec="libx265", seconds=20)
    changing = rtsp_server.write_changing_video(videos / "changing.h264", [(160, 120), (320, 240)] * 5)
    mounts = {
        "/h264": rtsp_server.h264(h264),
        "/h265": rtsp_server.h265(h265),
        "/mjpeg": rtsp_server.MJPEG,
        "/changing": rtsp_server.raw_h264(changing),
    }
    with RtspServer(mounts) as server:
        yield server


@pytest.mark.parametrize(
    ("path", "camera"),
    [
        ("/h264", UDP),
        ("/h265", CameraOptions()),
        ("/h265", UDP),
        ("/mjpeg", CameraOptions()),
        ("/mjpeg", UDP),
    ],
    ids=lambda value: value if isinstance(value, str) else value.rtsp_transport,
)
def test_pictures_come_over_rtsp(server: RtspServer, path: str, camera: CameraOptions) -> None:
    picture = first_picture(open_camera(server.url_of(path), camera))
    assert (picture.width, picture.height) == (160, 120)
    decoded = cv2.imdecode(np.frombuffer(picture.image, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    assert decoded.shape == (120, 160, 3)


def test_a_camera_that_changes_its_size_goes_on(server: RtspServer) -> None:
    items = open_camera(server.url_of("/changing"))
    first = first_picture(items)
    for _ in range(2):
        changed = until(items, _of_another_size(first))
        assert isinstance(changed, Picture)
        image = cv2.imdecode(np.frombuffer(changed.image, np.uint8), cv2.IMREAD_COLOR)
        assert image is not None
        assert image.shape[:2] == (changed.height, changed.width)
        first = changed


def test_lost_and_damaged_packets_do_not_end_the_stream(server: RtspServer) -> None:
    before = _damaged()
    with Relay(server.port, meddle=LosePackets) as relay:
        items = open_camera(f"rtsp://127.0.0.1:{relay.port}/changing")
        until(items, is_state(State.RUNNING))
        taken = 0
        for item in items:
            assert not is_state(State.RECONNECTING)(item), item
            taken += isinstance(item, Picture)
            if taken == 30:
                break
    assert _damaged() > before


def test_a_live_playlist_is_followed_at_its_own_pace(tmp_path: Path) -> None:
    stop = threading.Event()
    writer = threading.Thread(target=_write_playlist, args=(tmp_path, stop))
    writer.start()
    try:
        while not (tmp_path / "live.m3u8").exists():
            time.sleep(0.1)
        with http_server(folder(tmp_path)) as port:
            items = open_camera(f"http://127.0.0.1:{port}/live.m3u8")
            first = first_picture(items)
            began_s = time.monotonic()
            later = until(items, lambda item: isinstance(item, Picture) and item.pts_s > first.pts_s + 1.5)
            assert isinstance(later, Picture)
            assert time.monotonic() - began_s > 1.0, "a segment came at once, not picture by picture"
    finally:
        stop.set()
        writer.join()


@pytest.mark.parametrize("scheme", ["rtsps", "https"])
def test_over_tls_only_who_is_trusted_is_a_camera(
    server: RtspServer, scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path / "ours")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*authority.issue("localhost"))
    with Relay(server.port, tls=tls) as relay, http_server(mjpeg(JPEG), tls=tls) as https:
        url = (
            f"rtsps://localhost:{relay.port}/h264"
            if scheme == "rtsps"
            else f"https://localhost:{https}/video"
        )
        monkeypatch.setenv("SSL_CERT_FILE", str(Authority(tmp_path / "others").ca))
        assert "SSL_CERT_FILE" in str(until(open_camera(url), is_state(State.RECONNECTING)))
        assert first_picture(open_camera(url, CameraOptions(verify_tls=False))).width == 160
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca))
        assert first_picture(open_camera(url)).width == 160
        until(open_camera(url.replace("localhost", "127.0.0.1")), is_state(State.RECONNECTING))


def test_a_device_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(BadInput, match=r"no device /dev/video77; there is .*--device /dev/video77"):
        parse("camera:77")


def _damaged() -> float:
    return REGISTRY.get_sample_value("framefuse_damaged_packets_total") or 0.0


def _of_another_size(than: Picture) -> Callable[[Item], bool]:
    return lambda item: isinstance(item, Picture) and (item.width, item.height) != (than.width, than.height)


def _write_playlist(folder: Path, stop: threading.Event) -> None:
    """A live playlist of segments of half a second, written as time goes by."""
    options = {
        "hls_time": "0.5",
        "hls_list_size": "4",
        "hls_flags": "delete_segments+omit_endlist+temp_file",
    }
    with av.open(str(folder / "live.m3u8"), "w", format="hls", options=options) as container:
        stream = container.add_stream(
            "libx264", rate=10, options={"g": "5", "bf": "0", "preset": "ultrafast"}
        )
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        began_s, number = time.monotonic(), 0
        while not stop.wait(max(0.0, began_s + number / 10 - time.monotonic())):
            pixels = np.full((120, 160, 3), number % 255, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            number += 1
