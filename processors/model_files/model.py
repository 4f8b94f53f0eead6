"""A model on this disk, and how it is to be got there."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

from processors.model_files.choice import SETTINGS
from processors.model_files.remotes import Transfer

Progress = Callable[[str, int, int | None], None]
"""Called as `progress(name, bytes_so_far, bytes_in_all)`; the last is None where nobody knows."""
watching: ContextVar[Progress | None] = ContextVar("watching", default=None)
"""Who is told how far a transfer is."""
DEFAULT_MAX_BYTES = 4_000_000_000


@contextmanager
def watched_by(progress: Progress) -> Iterator[None]:
    """Tell of every transfer meanwhile, in this thread."""
    token = watching.set(progress)
    try:
        yield
    finally:
        watching.reset(token)


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """How to fetch."""

    pin: str | None = None
    """sha256 that the content must have."""
    trust_pickle: bool = False
    max_bytes: int = DEFAULT_MAX_BYTES
    transfer: Transfer = field(default_factory=Transfer)
    cache: Path | None = None
    """Folder; by default this user's."""


@dataclass(frozen=True, slots=True)
class LocalModel:
    """Files on this disk whose content is known."""

    path: Path
    """Of the file, or of the folder."""
    name: str
    """As results tell it: the file's name, or `owner/name` of a repository, with `:file` where it is one."""
    sha256: str
    """Of the file; where several belong together that of `hashing.joint_sha256`."""
    files: tuple[str, ...]
    """What counts, relative to its folder; the main file first. Those of `choice.SETTINGS` by their names
    alone, even where they lie above a folder named onnx."""
    address: str
    """As a log may tell it."""

    @property
    def whence(self) -> str:
        """What its user knows it by: the path on this machine, of what was fetched the address."""
        if self.path.is_relative_to(self.address):
            return str(self.path)
        return self.address if self.address.endswith(self.path.name) else f"{self.address} ({self.path.name})"

    @property
    def has_settings(self) -> bool:
        """Whether JSON files of transformers belong to it."""
        return not set(SETTINGS).isdisjoint(self.files)
