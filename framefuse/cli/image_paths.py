"""Which image files a user means by files, folders and globs, as `publish` takes them."""

import glob
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from framefuse.errors import BadInput

IMAGES = frozenset({".jpeg", ".jpg", ".jpe", ".png", ".webp"})


def image_paths(given: Sequence[Path], *, recursive: bool = False) -> list[Path]:
    """Files as they are named; the images of folders and globs in natural order (`img2` before `img10`).

    Raises:
        BadInput: a file is not there, a folder or glob has no image.
    """
    return [path for one in given for path in _meant(one, recursive=recursive)]


def _meant(given: Path, *, recursive: bool) -> Sequence[Path]:
    if given.is_dir():
        found = _images(given.rglob("*") if recursive else given.iterdir())
        if not found:
            deeper = "" if recursive else "; --recursive looks into its folders"
            raise BadInput(f"{given}: no {_KINDS} in this folder{deeper}")
        return found
    if given.exists():
        return [given]
    if not glob.has_magic(str(given)):
        raise BadInput(f"{given}: no such file or folder")
    found = _images(Path(name) for name in glob.glob(str(given), recursive=True))  # noqa: PTH207 - absolute too
    if not found:
        raise BadInput(f"{given}: nothing that is {_KINDS} matches")
    return found


def _images(paths: Iterable[Path]) -> list[Path]:
    return sorted((path for path in paths if path.suffix.lower() in IMAGES and path.is_file()), key=_natural)


def _natural(path: Path) -> list[tuple[int, str]]:
    return [
        (int(part), "") if part.isdecimal() else (0, part.lower()) for part in re.split(r"(\d+)", str(path))
    ]


_KINDS = "JPEG, PNG or WEBP"
