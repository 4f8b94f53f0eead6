import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import pytest

from framefuse.errors import BadInput
from framefuse.pictures.decoding import decode
from framefuse.publishing.publication import named
from framefuse.publishing.sources import (
    CameraOptions,
    Item,
    Picture,
    Source,
    SourceOptions,
    installed,
    open_sources,
    scheme_of,
)
from producers import synthetic_source


@dataclass(frozen=True)
class Nothing:
    """A source without a picture."""

    stream_id: str
    title: str
    live: bool = False

    def __iter__(self) -> Iterator[Item]:
        return iter(())


def open_nothing(addresses: Sequence[str], options: SourceOptions) -> Sequence[Source]:
    del options
    return [Nothing(address.split(":")[-1], address) for address in addresses]


@pytest.mark.parametrize(
    ("address", "scheme"),
    [
        ("a.mp4", "file"),
        ("/x/a:b.jpg", "file"),
        ("C:\\a.jpg", "file"),
        ("RTSP://host/1", "rtsp"),
        ("synthetic:", "synthetic"),
    ],
)
def test_the_scheme_says_who_opens_an_address(address: str, scheme: str) -> None:
    assert scheme_of(address) == scheme


def test_sources_of_other_packages_are_opened_by_their_scheme() -> None:
    (source,) = open_sources(["lidar:7"], SourceOptions(), {"lidar": open_nothing})
    assert source.stream_id == "7"


def test_an_unknown_scheme_is_refused_without_its_password() -> None:
    with pytest.raises(BadInput, match="no source has the scheme 'gopher:'") as refused:
        open_sources(["gopher://me:secret@host/1"], SourceOptions(), {"file": open_nothing})
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "address",
    [
        "htps://cam/video.mjpg?token=hunter2",
        "rtps://viewer:hun/ter2@cam/1",
        "rtps://viewer:hun@ter2@cam/1",
        "rtps://viewer:hun@te/r2@cam/1",
        "rtps:/viewer:hunter2@cam/1",
        "rtps:viewer:hunter2@cam/1",
    ],
)
def test_a_mistyped_scheme_is_refused_without_what_is_secret_in_the_address(address: str) -> None:
    """Also where only public addresses are opened: that message shows the address, too."""
    for openers in ({"file": open_nothing}, {scheme_of(address): open_nothing}):
        options = SourceOptions(camera=CameraOptions(public_only=True))
        with pytest.raises(BadInput) as refused:
            open_sources([address], options, openers)
        assert not re.search("hun|r2", str(refused.value))
        assert "***" in str(refused.value)


@pytest.mark.parametrize("address", ["/etc/hosts", "camera:0", "synthetic:", "lidar:7"])
def test_only_what_leads_to_the_internet_is_opened_where_only_public_addresses_are(address: str) -> None:
    openers = dict.fromkeys(("file", "camera", "synthetic", "lidar", "rtsp"), open_nothing)
    options = SourceOptions(camera=CameraOptions(public_only=True))
    with pytest.raises(BadInput, match="only public addresses"):
        open_sources([address], options, openers)
    assert open_sources(["rtsp://camera.example/1"], options, openers)


def test_files_and_scenes_are_installed() -> None:
    assert {"file", "synthetic"} <= set(installed())


def test_streams_are_named_by_the_user_or_by_their_sources() -> None:
    sources = [Nothing("a", "x/a.mp4"), Nothing("a", "y/a.mp4")]
    assert [stream_id for stream_id, _ in named(sources, [])] == ["a", "a-2"]
    assert [stream_id for stream_id, _ in named(sources, ["gate", "yard"])] == ["gate", "yard"]


@pytest.mark.parametrize("ids", [["one"], ["one", "one"], ["one", "two", "three"], ["a/b", "c"]])
def test_names_that_do_not_fit_the_sources_are_refused(ids: list[str]) -> None:
    with pytest.raises(BadInput, match="stream"):
        named([Nothing("a", "x/a.mp4"), Nothing("b", "y/b.mp4")], ids)


def scene(address: str, options: SourceOptions | None = None) -> Source:
    (source,) = synthetic_source.open_sources([address], options or SourceOptions())
    return source


def test_a_scene_has_the_length_rate_and_size_of_its_address() -> None:
    items = list(scene("synthetic:?seed=5&size=64x48&fps=4&seconds=1"))
    pictures = [item for item in items if isinstance(item, Picture)]
    assert [picture.pts_s for picture in pictures] == [0.0, 0.25, 0.5, 0.75]
    assert decode(pictures[0].image).shape == (48, 64, 3)
    assert pictures[0].image == next(
        item.image for item in scene("synthetic:?seed=5&size=64x48") if isinstance(item, Picture)
    )


def test_a_looped_scene_goes_on() -> None:
    options = SourceOptions(loop=True, fps=2.0)
    source = scene("synthetic:?size=32x32&seconds=1", options)
    times = [item.pts_s for item in islice(source, 4) if isinstance(item, Picture)]
    assert times == [0.0, 0.5, 1.0, 1.5]


@pytest.mark.parametrize(
    "address",
    [
        "synthetic:?size=8x8",
        "synthetic:?size=big",
        "synthetic:?seed=-1",
        "synthetic:?seed=x",
        "synthetic:?fps=0",
        "synthetic:?seconds=",
        "synthetic:?colour=red",
        "synthetic:seven",
    ],
)
def test_an_address_of_a_scene_that_cannot_be_drawn_is_refused(address: str) -> None:
    with pytest.raises(BadInput, match="synthetic:"):
        scene(address)
