"""The thin edge to S3, GCS, Azure or a local folder: put if absent, list, read an end; our errors for theirs.

Never overwrites and never deletes.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import SEEK_CUR, SEEK_END, SEEK_SET, RawIOBase
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    NotSupportedError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from obstore.store import LocalStore, MemoryStore, ObjectStore, from_url

from framefuse.errors import BadInput, FramefuseError, SinkBusy, Stop

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from obstore.store import ClientConfig, RetryConfig

SETTING = "FRAMEFUSE_OBJECT_STORE_URL"
SCHEMES = ("s3", "s3a", "gs", "az", "azure", "abfs", "abfss")
_RETRY: "RetryConfig" = {"max_retries": 3, "retry_timeout": timedelta(seconds=30)}
_CLIENT: "ClientConfig" = {
    "connect_timeout": timedelta(seconds=5),
    "timeout": timedelta(seconds=60),
    "allow_http": True,  # an endpoint is http:// only where somebody wrote so
}


class AlreadyThere(FramefuseError):
    """Somebody has written this file; it stays as it is."""


class StoreUnreachable(SinkBusy):
    """The store does not answer, or not as it should; it may later."""


class StoreFull(SinkBusy):
    """No space or quota left; somebody has to make room."""


class ResultStore:
    """A folder of result files. `root` is where it is on a local disk, None elsewhere."""

    def __init__(self, store: ObjectStore, url: str, root: Path | None = None) -> None:
        self._store = store
        self._url = url
        self._root = root

    def create(self, key: str, content: bytes) -> None:
        """Write a file that is not there yet: all of it, durably, or nothing.

        Raises:
            AlreadyThere: the name is taken.
            SinkBusy: not now.
            Stop: never, until somebody mends what the message says.
        """
        with _our_errors(self._url):
            try:
                obstore.put(self._store, key, content, mode="create")
            except AlreadyExistsError:
                raise AlreadyThere(key) from None
            if self._root is not None:
                _sync(self._root / key, self._root)

    def names(self, folder: str, stem: str, *, after: str = "") -> Iterator[str]:
        """Keys of the files of a folder whose names begin with `stem`, in any order; only those > `after`.

        Raises:
            SinkBusy, Stop: as `create`.
        """
        start = f"{folder}/{stem}"
        in_order = self._root is None and not isinstance(self._store, MemoryStore)
        with _our_errors(self._url):
            for page in obstore.list(self._store, folder, offset=max(start, after)):
                for entry in page:
                    if entry["path"].startswith(start):
                        yield entry["path"]
                    elif in_order:
                        return

    def folders(self) -> Iterator[str]:
        """The folders that results may be in.

        Raises:
            SinkBusy, Stop: as `create`.
        """
        with _our_errors(self._url):
            yield from obstore.list_with_delimiter(self._store)["common_prefixes"]

    def reader(self, key: str) -> "RangesOfFile":
        """A file to read here and there in; only what is asked for is fetched.

        Raises:
            SinkBusy, Stop: as `create`.
        """
        with _our_errors(self._url):
            return RangesOfFile(self, key, obstore.head(self._store, key)["size"])

    def range(self, key: str, start: int, end: int) -> bytes:
        """The bytes of a file from `start` up to `end`.

        Raises:
            SinkBusy, Stop: as `create`.
        """
        with _our_errors(self._url):
            return bytes(obstore.get_range(self._store, key, start=start, end=end))

    def end(self, key: str, size: int) -> bytes:
        """The last `size` bytes of a file, or all of a shorter one.

        Raises:
            SinkBusy, Stop: as `create`.
        """
        with _our_errors(self._url):
            whole = obstore.head(self._store, key)["size"]
            if whole == 0:
                return b""
            return bytes(obstore.get_range(self._store, key, start=max(0, whole - size), end=whole))


class RangesOfFile(RawIOBase):
    """A file of a store, as Python and Arrow read files."""

    def __init__(self, store: ResultStore, key: str, size: int) -> None:
        super().__init__()
        self._store, self._key, self._size = store, key, size
        self._at = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Where the next read begins."""
        return self._at

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        """Go to a place, counted from the start, from here or from the end."""
        self._at = offset + {SEEK_SET: 0, SEEK_CUR: self._at, SEEK_END: self._size}[whence]
        return self._at

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Fill the buffer, or as much of it as there is left."""
        with memoryview(buffer) as view:
            end = min(self._size, self._at + len(view))
            found = self._store.range(self._key, self._at, end) if end > self._at else b""
            view[: len(found)] = found
            self._at += len(found)
            return len(found)


def open_results(url: str) -> ResultStore:
    """The store at a local path, or at s3://, gs://, az://; credentials and endpoint from the environment.

    Raises:
        BadInput: the URL is of no kind we know.
        SinkBusy, Stop: as `ResultStore.create`.
    """
    root = local_folder(url)
    if root is not None:
        with _our_errors(url):
            root.mkdir(parents=True, exist_ok=True)
            return ResultStore(LocalStore(root), url, root)
    scheme = url.partition("://")[0]
    if scheme not in SCHEMES:
        raise BadInput(f"{SETTING} is {scheme}://…: expected a folder, s3://, gs:// or az://")
    try:
        store = from_url(url, client_options=_CLIENT, retry_config=_RETRY)
    except (BaseError, ValueError) as error:
        raise BadInput(f"{SETTING} {url}: {_first_line(error)}") from None
    return ResultStore(store, url)


def existing_results(url: str) -> ResultStore:
    """The same to read only: a local folder that is not there is not made.

    Raises:
        BadInput: there is no such folder, or the URL is of no kind we know.
        SinkBusy, Stop: as `ResultStore.create`.
    """
    folder = local_folder(url)
    if folder is not None and not folder.is_dir():
        path = url.removeprefix("file://")
        raise BadInput(f"no folder {path}: give where 'framefuse run object-store' keeps its results")
    return open_results(url)


def local_folder(url: str) -> Path | None:
    """The folder that a path or a file:// URL names; None for a store elsewhere."""
    scheme, separator, rest = url.partition("://")
    if separator and scheme != "file":
        return None
    return Path(rest if separator else url).expanduser().absolute()


@contextmanager
def _our_errors(url: str) -> Iterator[None]:
    try:
        yield
    except (BaseError, OSError) as error:
        raise translate(error, url) from error


def translate(error: Exception, url: str) -> FramefuseError:
    """Our error for theirs: what a person must mend is a Stop, everything else a SinkBusy."""
    found = _first_line(error)
    if any(sign in found for sign in _FULL):
        return StoreFull(f"{url} is full: make room, and writing goes on ({found})", retry_after_s=10)
    for kinds, signs, mend in _TO_MEND:
        if isinstance(error, kinds) or any(sign in found for sign in signs):
            return Stop(f"results cannot be kept in {url}: {mend}, or set {SETTING} ({found})")
    return StoreUnreachable(f"{url} does not take results now ({found})", retry_after_s=5)


_FULL = ("(os error 28)", "(os error 122)", "[Errno 28]", "[Errno 122]")
_TO_MEND: tuple[tuple[tuple[type[Exception], ...], tuple[str, ...], str], ...] = (
    ((), ("169.254.169.254", "metadata.google"), "set the credentials (such as AWS_ACCESS_KEY_ID)"),
    (
        (PermissionDeniedError, UnauthenticatedError, PermissionError),
        ("(os error 13)", "(os error 1)", "(os error 30)", "[Errno 30]", "403 Forbidden", "401 Unauthorized"),
        "let this user, or the credentials that are set, list, read and write there",
    ),
    ((FileNotFoundError,), ("NoSuchBucket",), "make the bucket or folder first"),
    ((FileExistsError, NotADirectoryError), (), "a file stands where the folder should be, move it away"),
    ((NotSupportedError,), ("NotImplemented",), "it must know put-if-absent (If-None-Match: *)"),
    ((), ("incorrectly configured region",), "set AWS_REGION to the region of the bucket"),
)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _sync(file: Path, root: Path) -> None:
    """Put a new file and its names on the disk itself, for the day the power fails."""
    for path in (file, file.parent, root):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
