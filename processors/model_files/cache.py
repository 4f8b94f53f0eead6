"""Models by content: `<sha256>/` holds the files of one model, `index/` says what an address was last time.

A model's folder appears whole or not at all: files are written beside it, then the folder gets its name. So
processes may fetch the same model at once, and a killed one leaves nothing under a name that counts.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import platformdirs

from framefuse.errors import ModelUnusable
from processors.model_files.hashing import file_sha256, joint_sha256

_PARTIAL = ".partial-"
_STALE_S = 86_400.0
_SHA256 = re.compile(r"[0-9a-f]{64}")


def default_folder() -> Path:
    """Where this user's models are kept, shared by all projects."""
    return platformdirs.user_cache_path("framefuse") / "models"


@dataclass(frozen=True, slots=True)
class Known:
    """What an address was when it was last fetched."""

    address: str
    """Without secrets."""
    name: str
    """Of the main file; "" for a folder."""
    sha256: str
    versions: Mapping[str, str | None]
    """What the place called each file's state."""


class Cache:
    """One folder of models."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = default_folder() if folder is None else folder
        self._index = self.folder / "index"

    def held(self, sha256: str) -> Path | None:
        """The folder of a model, its bytes looked at again; None where it is not, or not whole."""
        path = self.folder / sha256
        if not path.is_dir():
            return None
        try:
            found = joint_sha256({name: file_sha256(path / name) for name in names_in(path)})
        except (OSError, StopIteration):
            return None
        if found == sha256:
            return path
        shutil.rmtree(path, ignore_errors=True)  # a disk that forgets, or a hand: fetch it again
        return None

    def known(self, key: str) -> Known | None:
        """What is known of an address."""
        return _read(self._entry(key))

    def note(self, key: str, known: Known) -> None:
        """Remember what an address is."""
        with self.writing():
            self._index.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", dir=self._index, delete=False, encoding="utf-8") as file:
                json.dump(asdict(known), file)
            Path(file.name).replace(self._entry(key))

    def all_known(self) -> Sequence[Known]:
        """Every address, sorted."""
        entries = [_read(path) for path in self._index.glob("*.json")]
        return sorted((entry for entry in entries if entry), key=lambda entry: entry.address)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Blame the cache for what fails meanwhile: put nothing in it that is not a write to this folder.

        Raises:
            ModelUnusable: instead of an OSError.
        """
        try:
            yield
        except OSError as error:
            raise ModelUnusable(
                f"the model cache {self.folder} cannot be written ({error.strerror or error}): "
                "mend that, or set XDG_CACHE_HOME to another folder"
            ) from error

    @contextmanager
    def locked(self, key: str) -> Iterator[None]:
        """One process at a time fetches an address; the others wait and find it here."""
        with ExitStack() as stack:
            with self.writing():
                self._index.mkdir(parents=True, exist_ok=True)
                file = stack.enter_context(self._entry(key).with_suffix(".lock").open("w"))
                fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder to write into; what is still there at the end is removed."""
        with self.writing():
            self.folder.mkdir(parents=True, exist_ok=True)
            self._sweep()
            path = Path(tempfile.mkdtemp(dir=self.folder, prefix=_PARTIAL))
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def keep(self, scratch: Path, sha256: str) -> Path:
        """Give a written folder its name, unless another process was faster with the same."""
        path = self.folder / sha256
        with self.writing():
            scratch.chmod(0o755)
            with suppress(OSError):
                scratch.rename(path)
            if not path.is_dir():
                raise OSError(f"{path} cannot be made")
        return path

    def _sweep(self) -> None:
        """Remove what killed processes have left."""
        for path in self.folder.glob(f"{_PARTIAL}*"):
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > _STALE_S:
                    shutil.rmtree(path, ignore_errors=True)

    def _entry(self, key: str) -> Path:
        return self._index / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"


def _read(path: Path) -> Known | None:
    try:
        known = Known(**json.loads(path.read_text("utf-8")))
        texts = (known.address, known.name, known.sha256, *(one or "" for one in known.versions.values()))
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return None
    return (
        known if _SHA256.fullmatch(str(known.sha256)) and all(isinstance(one, str) for one in texts) else None
    )


def names_in(folder: Path) -> Sequence[str]:
    """Files of a folder and below, with `/`, sorted."""
    found = [
        (Path(root) / name).relative_to(folder).as_posix()
        for root, _, names in os.walk(folder)
        for name in names
    ]
    return sorted(found)
