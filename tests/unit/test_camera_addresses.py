"""Addresses of cameras: what may be shown of them, and how FFmpeg is told to open them."""

import pytest

from framefuse.errors import BadInput
from framefuse.publishing.sources import CameraOptions
from producers.capture.addresses import parse


def test_a_title_and_a_stream_id_hold_no_password() -> None:
    address = parse("rtsp://viewer:hush@10.0.0.11:8554/stream1")
    assert "hush" not in f"{address!r} {address.title} {address.stream_id}"
    assert "10.0.0.11" in address.title


def test_a_reference_is_resolved_when_it_is_opened_and_shown_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAM_PASSWORD", "a/b@c")
    address = parse("rtsp://viewer:${CAM_PASSWORD}@10.0.0.11/stream1")
    opening = address.opening(CameraOptions())
    assert opening.url == "rtsp://viewer:a%2Fb%40c@10.0.0.11/stream1"
    assert "a%2Fb" not in f"{opening!r} {address!r}"


def test_rtsp_goes_over_tcp_unless_udp_is_asked_for() -> None:
    address = parse("rtsp://10.0.0.11/stream1")
    assert address.opening(CameraOptions()).options["rtsp_transport"] == "tcp"
    assert address.opening(CameraOptions(rtsp_transport="udp")).options["rtsp_transport"] == "udp"


@pytest.mark.parametrize("url", ["rtsp://10.0.0.11/a", "rtsps://10.0.0.11/a", "http://10.0.0.11/a"])
def test_no_camera_can_lead_to_a_file_of_this_host(url: str) -> None:
    assert "file" not in parse(url).opening(CameraOptions()).options["protocol_whitelist"].split(",")


@pytest.mark.parametrize(
    "url", ["rtsp:///stream1", "rtsp://viewer:hush@10.0.0.11:port/a", "ftp://10.0.0.11/a"]
)
def test_what_is_no_address_of_a_camera_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(BadInput) as refused:
        parse(url)
    assert "hush" not in str(refused.value)
