import os
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from framefuse.errors import BadInput
from framefuse.pictures.video import VideoWriter
from framefuse.publishing.sources import Damaged, Item, Picture, Rejected, Skipped, Source, SourceOptions
from framefuse.types import Image
from producers.files import open_sources
from schemas.records import Encoding

PLAIN = SourceOptions()


def noise(width: int = 64, height: int = 48, *, seed: int = 3) -> Image:
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)


def an_image(path: Path, *, width: int = 64, height: int = 48) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), noise(width, height))
    return path


def a_video(path: Path, *, frames: int = 20, fps: float = 10.0) -> Path:
    with VideoWriter(path, fps=fps) as writer:
        for number in range(frames):
            writer.write(noise(seed=number))
    return path


def only(*addresses: Path | str, options: SourceOptions = PLAIN) -> Source:
    (source,) = open_sources([str(address) for address in addresses], options)
    return source


def pictures(items: list[Item]) -> list[Picture]:
    return [item for item in items if isinstance(item, Picture)]


@pytest.mark.parametrize(
    ("name", "encoding"), [("a.jpg", Encoding.JPEG), ("a.png", Encoding.PNG), ("a.webp", Encoding.WEBP)]
)
def test_an_image_is_passed_on_byte_for_byte(tmp_path: Path, name: str, encoding: Encoding) -> None:
    path = an_image(tmp_path / name)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    (picture,) = pictures(list(only(path)))
    assert picture.image == path.read_bytes()
    assert (picture.encoding, picture.width, picture.height) == (encoding, 64, 48)
    assert picture.captured_at == datetime.fromtimestamp(1_700_000_000, UTC)


@pytest.mark.parametrize("name", ["a.bmp", "a.tiff", "a.ppm"])
def test_other_images_become_jpeg(tmp_path: Path, name: str) -> None:
    (picture,) = pictures(list(only(an_image(tmp_path / name))))
    assert picture.encoding is Encoding.JPEG
    assert picture.image[:2] == b"\xff\xd8"
    assert (picture.width, picture.height) == (64, 48)


def test_a_larger_image_is_shrunk_and_a_smaller_one_left_alone(tmp_path: Path) -> None:
    an_image(tmp_path / "a.png", width=400, height=100)
    an_image(tmp_path / "b.png", width=100, height=80)
    large, small = pictures(list(only(tmp_path, options=SourceOptions(max_side_px=200))))
    assert (large.encoding, large.width, large.height) == (Encoding.JPEG, 200, 50)
    assert small.image == (tmp_path / "b.png").read_bytes()


def test_a_folder_is_one_stream_in_natural_order(tmp_path: Path) -> None:
    folder = tmp_path / "My photos"
    for number in (10, 2, 1):
        an_image(folder / f"img{number}.png", width=16 + number)
    source = only(folder)
    assert source.stream_id == "My-photos"
    assert [picture.width for picture in pictures(list(source))] == [17, 18, 26]


def test_a_folder_of_folders_is_searched_only_when_asked(tmp_path: Path) -> None:
    an_image(tmp_path / "day" / "a.png")
    with pytest.raises(BadInput, match="--recursive"):
        only(tmp_path)
    assert len(pictures(list(only(tmp_path, options=SourceOptions(recursive=True))))) == 1


def test_what_is_no_picture_in_a_folder_is_told_and_hidden_files_are_not(tmp_path: Path) -> None:
    an_image(tmp_path / "a.png")
    for name in ("notes.txt", "b.json", "c.csv", "d.md", ".DS_Store"):
        (tmp_path / name).write_text("text")
    told = [item for item in only(tmp_path) if isinstance(item, Skipped)]
    assert told == [Skipped("b.json, c.csv, d.md and 1 more", "neither picture nor video")]


def test_each_video_of_a_folder_is_a_stream_beside_its_images(tmp_path: Path) -> None:
    an_image(tmp_path / "a.png")
    a_video(tmp_path / "gate.mp4", frames=2)
    a_video(tmp_path / "yard.mp4", frames=2)
    ids = [source.stream_id for source in open_sources([str(tmp_path)], PLAIN)]
    assert ids[1:] == ["gate", "yard"]


def test_single_images_of_a_folder_are_one_stream(tmp_path: Path) -> None:
    folder = tmp_path / "shots"
    paths = [an_image(folder / name) for name in ("b.png", "a.png")]
    assert only(*paths).stream_id == "shots"
    assert only(paths[0]).stream_id == "b"


def test_a_glob_is_one_stream_named_after_its_folder(tmp_path: Path) -> None:
    for name in ("a1.png", "a2.png", "b1.png"):
        an_image(tmp_path / "walk" / name)
    source = only(tmp_path / "walk" / "a*.png")
    assert source.stream_id == "walk"
    assert len(pictures(list(source))) == 2


@pytest.mark.parametrize("name", ["none.jpg", "none/", "none-*.jpg"])
def test_what_is_not_there_is_refused_by_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match=r"none.*(no such file or folder|matches nothing)"):
        only(f"{tmp_path}/{name}")


def test_a_named_file_that_is_neither_picture_nor_video_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello " * 100)
    with pytest.raises(BadInput, match=r"notes\.txt: holds no video track"):
        only(tmp_path / "notes.txt")


def test_files_without_an_ending_are_known_by_what_they_hold(tmp_path: Path) -> None:
    an_image(tmp_path / "a.png").rename(tmp_path / "picture")
    a_video(tmp_path / "a.mp4", frames=2).rename(tmp_path / "film")
    assert len(pictures(list(only(tmp_path / "picture")))) == 1
    assert len(pictures(list(only(tmp_path / "film")))) == 2


def broken_files(folder: Path) -> dict[str, str]:
    whole = an_image(folder / "whole.jpg").read_bytes()
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0" + b"no jpeg" * 20)
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "huge.jpg").write_bytes(whole + bytes(4 << 20))
    bomb = bytearray(an_image(folder / "bomb.png").read_bytes())
    bomb[16:24] = (10_000).to_bytes(4, "big") * 2
    (folder / "bomb.png").write_bytes(bytes(bomb))
    (folder / "text.bmp").write_text("BM, but nothing else")
    return {
        "broken.jpg": "JPEG",
        "cut.jpg": "cut off",
        "empty.jpg": "zero bytes",
        "huge.jpg": "--max-side",
        "bomb.png": "100 megapixels",
        "text.bmp": "does not decode",
    }


def test_what_cannot_be_a_frame_is_rejected_with_its_reason_and_the_rest_goes_on(tmp_path: Path) -> None:
    expected = broken_files(tmp_path)
    items = list(only(tmp_path))
    assert len(pictures(items)) == 1
    reasons = {Path(item.what).name: item.reason for item in items if isinstance(item, Rejected)}
    assert set(reasons) == set(expected)
    for name, words in expected.items():
        assert words in reasons[name]


def test_a_loop_gives_the_good_images_again_and_the_broken_once(tmp_path: Path) -> None:
    broken_files(tmp_path)
    items = list(islice(only(tmp_path, options=SourceOptions(loop=True, fps=5.0)), 16))
    good = pictures(items)
    assert [picture.pts_s for picture in good] == pytest.approx([n / 5 for n in range(10)])
    assert len(items) - len(good) == 6


def test_a_loop_over_nothing_good_ends(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"")
    assert len(list(only(tmp_path, options=SourceOptions(loop=True)))) == 1


def test_a_video_gives_jpegs_at_its_own_times(tmp_path: Path) -> None:
    found = pictures(list(only(a_video(tmp_path / "gate 1.mp4", frames=5))))
    assert [picture.pts_s for picture in found] == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4], abs=1e-3)
    assert {picture.encoding for picture in found} == {Encoding.JPEG}
    assert found[0].image[:2] == b"\xff\xd8"
    assert (found[4].captured_at - found[0].captured_at).total_seconds() == pytest.approx(0.4, abs=1e-3)


def test_a_video_is_thinned_evenly(tmp_path: Path) -> None:
    path = a_video(tmp_path / "a.mp4", frames=30, fps=30.0)
    found = pictures(list(only(path, options=SourceOptions(fps=10.0))))
    assert [picture.pts_s for picture in found] == pytest.approx([n / 10 for n in range(10)], abs=1e-3)


def test_a_looped_video_goes_on_in_time(tmp_path: Path) -> None:
    source = only(a_video(tmp_path / "a.mp4", frames=4), options=SourceOptions(loop=True))
    times = [item.pts_s for item in pictures(list(islice(source, 10)))]
    assert times == pytest.approx([n / 10 for n in range(10)], abs=1e-3)


def test_a_cut_off_video_gives_what_decodes_and_says_so_last(tmp_path: Path) -> None:
    path = a_video(tmp_path / "a.mp4", frames=40)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    items = list(only(path))
    assert 5 < len(pictures(items)) < 35
    assert isinstance(items[-1], Damaged)
    assert "cut off after" in items[-1].reason


def test_a_video_of_zero_bytes_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"")
    (item,) = list(only(tmp_path / "a.mp4"))
    assert isinstance(item, Rejected)
    assert "not a readable video" in item.reason
