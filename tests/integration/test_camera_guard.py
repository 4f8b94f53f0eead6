"""Addresses that strangers gave: what leads to this host or a private network is not reached.

Loopback has many addresses: 127.0.0.1 stands for what may be reached, 127.0.0.2 for what may not.
"""

import ipaddress
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from framefuse.errors import BadInput
from framefuse.pictures.encoding import encoded
from framefuse.publishing.sources import CameraOptions, SourceOptions
from producers.camera import CameraSource
from producers.capture.addresses import Opening, parse
from producers.capture.connection import Connection
from producers.capture.guard import guarded
from tests.parts import rtsp_server
from tests.parts.cameras import folder, http_server, mjpeg
from tests.parts.certificates import Authority
from tests.parts.rtsp_server import RtspServer

ALLOWED, FORBIDDEN = "127.0.0.1", "127.0.0.2"


def bound(url: str) -> Opening:
    allowed = ipaddress.ip_address(ALLOWED)
    return guarded(parse(url).opening(CameraOptions()), url, lambda address: address == allowed)


def unbound(url: str) -> Opening:
    return parse(url).opening(CameraOptions())


@pytest.mark.parametrize("scheme", ["http", "rtsp"])
def test_a_redirect_to_where_it_may_not_go_is_not_followed(scheme: str) -> None:
    with visited() as (port, visits), redirecting(f"{scheme}://{FORBIDDEN}:{port}/cam") as at:
        url = f"{scheme}://{ALLOWED}:{at}/cam"
        assert ends(unbound(url))
        assert len(visits) > 0, "nothing would have followed it anyway"
        visits.clear()
        assert "leads to another address" in ends(bound(url))
    assert not visits


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "2130706433", "0x7f.1", "[::ffff:10.0.0.1]"])
@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_a_name_or_number_of_this_host_is_refused_before_anything_is_sent(scheme: str, host: str) -> None:
    source = CameraSource(
        parse(f"{scheme}://{host}:9/cam"), SourceOptions(camera=CameraOptions(public_only=True))
    )
    with pytest.raises(BadInput, match="not public"):
        list(source)


@pytest.mark.parametrize("guards", [False, True])
def test_what_a_playlist_names_is_read_only_without_the_guard(tmp_path: Path, *, guards: bool) -> None:
    with visited() as (port, visits):
        playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://{FORBIDDEN}:{port}/1.ts\n"
        (tmp_path / "live.m3u8").write_text(playlist)
        with http_server(folder(tmp_path)) as at:
            url = f"http://{ALLOWED}:{at}/live.m3u8"
            if guards:
                assert ends(bound(url))
                assert not visits
            else:
                connection = Connection(unbound(url), "follows")
                while not visits:
                    time.sleep(0.02)
                connection.leave()


def test_a_camera_that_may_be_reached_is_seen(tmp_path: Path) -> None:
    if reason := rtsp_server.missing():
        pytest.skip(reason)
    video = rtsp_server.write_video(tmp_path / "short.mp4", seconds=10)
    with RtspServer(rtsp_server.h264(video), login=rtsp_server.LOGIN) as server:
        user, word = rtsp_server.LOGIN
        url = server.url.replace("rtsp://", f"rtsp://{user}:{word.replace('/', '%2F').replace('@', '%40')}@")
        connection = Connection(bound(url), "guarded")
        try:
            packets = [connection.inbox.take(20.0) for _ in range(5)]
        finally:
            connection.leave()
    assert all(packet is not None and packet.packet.size for packet in packets), connection.closing


@pytest.mark.parametrize("name", ["localhost", "other.example"])
def test_the_name_in_a_certificate_is_checked_though_the_number_is_connected_to(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path / "authority")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*authority.issue(name))
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca))
    jpeg = encoded(np.full((48, 64, 3), 90, np.uint8), quality=90, max_side_px=None).image
    with http_server(mjpeg(jpeg), tls=tls) as port:
        url = f"https://localhost:{port}/video"
        connection = Connection(guarded(unbound(url), url, lambda address: address.is_loopback), "tls")
        try:
            came = connection.inbox.take(20.0) is not None
        finally:
            connection.leave()
    assert came is (name == "localhost"), connection.closing


def ends(opening: Opening) -> str:
    """Why a connection ended that gave no picture."""
    connection = Connection(opening, "ends")
    try:
        assert connection.inbox.take(20.0) is None
        assert connection.closing is not None
        return connection.closing.reason
    finally:
        connection.leave()


@contextmanager
def visited() -> Iterator[tuple[int, list[bytes]]]:
    """A port where nobody should come, and what those said who did."""
    visits: list[bytes] = []

    def receive() -> None:
        while True:
            try:
                visitor, _ = door.accept()
            except OSError:
                return
            with visitor:
                visits.append(visitor.recv(1000))

    with socket.create_server((FORBIDDEN, 0)) as door:
        threading.Thread(target=receive, daemon=True).start()
        yield door.getsockname()[1], visits
        door.shutdown(socket.SHUT_RDWR)


@contextmanager
def redirecting(location: str) -> Iterator[int]:
    """A port that sends everybody elsewhere, in RTSP or HTTP as they ask."""

    def answer() -> None:
        while True:
            try:
                client, _ = door.accept()
            except OSError:
                return
            with client:
                while asked := client.recv(4000):
                    number = re.search(rb"CSeq: (\d+)", asked)
                    rtsp = f"RTSP/1.0 302 Moved\r\nCSeq: {number[1].decode()}" if number else ""
                    said = (
                        f"{rtsp or 'HTTP/1.1 302 Found'}\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
                    )
                    client.sendall(said.encode())

    with socket.create_server((ALLOWED, 0)) as door:
        threading.Thread(target=answer, daemon=True).start()
        yield door.getsockname()[1]
        door.shutdown(socket.SHUT_RDWR)
