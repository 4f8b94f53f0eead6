"""Every command in the documents, typed from top to bottom on a broker of its own."""

import shutil
from pathlib import Path

import cv2
import pytest

from framefuse.pictures.video import VideoWriter
from producers.synthetic import render
from tests.parts.documents import DOCUMENTS, JOURNEYS, ROOT, Reader, blocks

_LATER = {document for journey in JOURNEYS for document in journey}
READINGS = [
    *((name,) for name in DOCUMENTS if name not in _LATER and any(block.runs for block in blocks(name))),
    *JOURNEYS,
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a reader has: a photo, a folder of them, a video, and the folders that are spoken of."""
    picture = render(7, 0.0, 320, 192).image
    (tmp_path / "photos").mkdir()
    for path in (tmp_path / "photo.jpg", tmp_path / "photos" / "1.jpg", tmp_path / "photos" / "2.png"):
        assert cv2.imwrite(str(path), picture)
    with VideoWriter(tmp_path / "gate.mp4", fps=5) as video:
        for number in range(15):
            video.write(render(11, number / 5, 320, 192).image)
    for name in ("examples", "k8s", "schemas"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


@pytest.mark.broker
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("documents", READINGS, ids=[names[0] for names in READINGS])
def test_every_command_of_a_document_does_what_it_says(documents: tuple[str, ...], folder: Path) -> None:
    environment = {
        "FRAMEFUSE_BROKER_DATA": str(folder / "broker"),
        "FRAMEFUSE_OBJECT_STORE_MAX_WAIT_S": "1",
    }
    with Reader(folder, environment) as reader:
        try:
            for block in (block for document in documents for block in blocks(document)):
                if block.runs:
                    reader.follow(block)
            reader.leave()
        finally:
            reader.run(["framefuse", "broker", "down"])


def test_the_readme_begins_with_the_two_commands() -> None:
    first, *_ = blocks("README.md")
    assert [command.split("#")[0].split() for command in first.commands] == [
        ["make", "demo"],
        ["make", "test"],
    ]
