"""Which images a user means."""

from pathlib import Path

import pytest

from framefuse.cli.image_paths import image_paths
from framefuse.errors import BadInput


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in ("img10.jpg", "img2.JPG", "notes.txt", "deep/img1.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_a_folder_means_its_images_in_natural_order(photos: Path) -> None:
    assert [path.name for path in image_paths([photos])] == ["img2.JPG", "img10.jpg"]


def test_a_folder_means_those_of_its_folders_on_request(photos: Path) -> None:
    assert [path.name for path in image_paths([photos], recursive=True)] == [
        "img1.png",
        "img2.JPG",
        "img10.jpg",
    ]


def test_a_glob_means_the_images_that_match(photos: Path) -> None:
    assert [path.name for path in image_paths([photos / "*1*"])] == ["img10.jpg"]


def test_a_file_is_meant_as_it_is_named_even_where_it_is_no_image(photos: Path) -> None:
    assert image_paths([photos / "notes.txt"]) == [photos / "notes.txt"]


def test_a_file_that_is_not_there_is_refused_before_any_is_looked_at(photos: Path) -> None:
    with pytest.raises(BadInput, match=r"gone\.jpg: no such file or folder"):
        image_paths([photos / "img2.JPG", photos / "gone.jpg"])


@pytest.mark.parametrize("name", ["empty", "*.webp"])
def test_a_folder_or_glob_without_images_is_refused(photos: Path, name: str) -> None:
    (photos / "empty").mkdir()
    with pytest.raises(BadInput, match="JPEG, PNG or WEBP"):
        image_paths([photos / name])
