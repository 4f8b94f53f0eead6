from pathlib import Path

import av
import av.container
import numpy as np
import pytest

from framefuse.errors import BadInput
from framefuse.pictures.video import VideoReader, VideoWriter
from framefuse.types import Image


def a_picture(shade: int = 128, width: int = 64, height: int = 48) -> Image:
    return np.full((height, width, 3), shade, np.uint8)


def a_video(path: Path, *, frames: int = 20, fps: float = 10.0, width: int = 64, height: int = 48) -> Path:
    noise = np.random.default_rng(3)
    with VideoWriter(path, fps=fps) as writer:
        for _ in range(frames):
            writer.write(noise.integers(0, 255, (height, width, 3), dtype=np.uint8))
    return path


def test_what_was_written_comes_back_with_its_times(tmp_path: Path) -> None:
    path = a_video(tmp_path / "a.mp4", frames=12, fps=10.0)
    with VideoReader(path) as reader:
        times = [frame.pts_s for frame in reader.frames()]
        assert times == pytest.approx([number / 10 for number in range(12)], abs=1e-4)
        assert reader.trouble is None
        assert reader.info.frames == 12
        assert reader.info.fps == pytest.approx(10.0, abs=0.01)


def test_colours_survive(tmp_path: Path) -> None:
    blue = np.zeros((48, 64, 3), np.uint8)
    blue[:] = (220, 40, 60)
    with VideoWriter(tmp_path / "a.mp4") as writer:
        for _ in range(3):
            writer.write(blue)
    with VideoReader(tmp_path / "a.mp4") as reader:
        seen = next(reader.frames()).image
    assert np.abs(seen.astype(int) - blue.astype(int)).max() <= 6


def test_a_browser_can_play_it(tmp_path: Path) -> None:
    a_video(tmp_path / "a.mp4", width=65, height=49)
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert (stream.width, stream.height) == (66, 50)
    data = (tmp_path / "a.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_uneven_times_are_kept_and_never_fall(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4") as writer:
        for at_s in (0.0, 0.5, 0.5, 0.7, 2.0):
            writer.write(a_picture(), at_s=at_s)
    with VideoReader(tmp_path / "a.mp4") as reader:
        times = [frame.pts_s for frame in reader.frames()]
    assert times == pytest.approx([0.0, 0.5, 0.5, 0.7, 2.0], abs=1e-3)
    assert times == sorted(times)


def test_only_wanted_pictures_are_converted(tmp_path: Path) -> None:
    with VideoReader(a_video(tmp_path / "a.mp4")) as reader:
        assert [round(frame.pts_s, 1) for frame in reader.frames(lambda at_s: at_s > 1.65)] == [1.7, 1.8, 1.9]


def test_a_phones_rotation_is_applied(tmp_path: Path) -> None:
    left_white = a_picture(0)
    left_white[:, :16] = 255
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.set_display_rotation(-90)
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(left_white, format="bgr24")))
        container.mux(stream.encode(None))
    with VideoReader(tmp_path / "a.mp4") as reader:
        image = next(reader.frames()).image
    assert image.shape == (64, 48, 3)
    assert image[4].min() > 200
    assert image[-4].max() < 50


def test_a_truncated_video_gives_what_decodes_and_says_so(tmp_path: Path) -> None:
    whole = a_video(tmp_path / "a.mp4", frames=40).read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole[: len(whole) // 2])
    with VideoReader(cut) as reader:
        got = sum(1 for _ in reader.frames())
        assert 5 < got < 35
        assert reader.trouble is not None
        assert "cut off after" in reader.trouble
        assert "4.0 s" in reader.trouble


@pytest.mark.parametrize("content", [b"", b"not a video at all" * 100], ids=["zero bytes", "text"])
def test_what_is_no_video_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"a\.mp4: not a readable video"):
        VideoReader(path)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"none\.mp4.*No such file"):
        VideoReader(tmp_path / "none.mp4")


def test_a_writer_refuses_a_picture_of_another_size(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4") as writer:
        writer.write(a_picture())
        with pytest.raises(ValueError, match="64×50 picture in a video of 64×48"):
            writer.write(a_picture(height=50))


def test_a_video_without_a_picture_leaves_no_file(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be written"):
        VideoWriter(tmp_path / "none" / "a.mp4")
