"""Objects of S3, GCS and Azure, with the credentials and endpoints that obstore finds in the environment."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import (
    BaseError,
    NotFoundError,
    NotModifiedError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from obstore.store import ObjectStore, from_url

from framefuse.errors import FramefuseError, ModelUnusable
from processors.model_files.remotes import Download, NotThere, Transfer, Unreachable

if TYPE_CHECKING:
    from obstore import GetResult
    from obstore.store import ClientConfig, RetryConfig

_CHUNK_BYTES = 1 << 20
_NO_CREDENTIALS = ("169.254.169.254", "metadata.google", "Account must be specified")
_CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
}


@dataclass(frozen=True, slots=True)
class StoreFolder:
    """What lies below a prefix of a bucket."""

    bucket: str
    """As `s3://bucket`."""
    folder: str
    shown: str
    transfer: Transfer = field(default_factory=Transfer)

    def names(self) -> Sequence[str]:
        """See `Remote`."""
        start = f"{self.folder}/" if self.folder else ""
        with _our_errors(self.shown):
            pages = obstore.list(self._store(), self.folder or None)
            paths = [entry["path"] for page in pages for entry in page]
        return [path.removeprefix(start) for path in paths]

    def open(self, name: str, *, unless: str | None = None) -> Download | None:
        """See `Remote`."""
        key = str(PurePosixPath(self.folder) / name)
        with _our_errors(self.shown):
            try:
                answer = obstore.get(
                    self._store(), key, options={"if_none_match": unless} if unless is not None else None
                )
            except NotModifiedError:
                return None
            meta = answer.meta
            return Download(meta["e_tag"], meta["size"], self._chunks(answer))

    def _chunks(self, answer: "GetResult") -> Iterator[bytes]:
        with _our_errors(self.shown):
            for chunk in answer.stream(min_chunk_size=_CHUNK_BYTES):
                yield bytes(chunk)

    def _store(self) -> ObjectStore:
        patience = self.transfer
        client: ClientConfig = {
            "connect_timeout": timedelta(seconds=patience.connect_s),
            "read_timeout": timedelta(seconds=patience.silence_s),
            "timeout": timedelta(days=1),
            "allow_http": True,  # an endpoint is http:// only where somebody wrote so
        }
        retry: RetryConfig = {
            "max_retries": patience.attempts,
            "retry_timeout": timedelta(seconds=patience.silence_s),
        }
        try:
            return from_url(self.bucket, client_options=client, retry_config=retry)
        except (BaseError, ValueError) as error:
            found = _translated(error, self.shown)
            raise (
                found if isinstance(found, NotThere) else ModelUnusable(f"{self.shown}: {_first_line(error)}")
            ) from None


@contextmanager
def _our_errors(where: str) -> Iterator[None]:
    try:
        yield
    except (BaseError, OSError) as error:
        raise _translated(error, where) from None


def _translated(error: Exception, where: str) -> FramefuseError:
    found = _first_line(error)
    if any(sign in found for sign in _NO_CREDENTIALS):
        names = _CREDENTIALS.get(where[:2], _CREDENTIALS["az"])
        return NotThere(f"{where}: no credentials are set: set {names}")
    if isinstance(error, PermissionDeniedError | UnauthenticatedError) or "403 Forbidden" in found:
        return NotThere(f"{where}: the credentials that are set may not read it ({found})")
    if isinstance(error, NotFoundError | FileNotFoundError) or "NoSuchBucket" in found:
        return NotThere(f"{where}: there is no such object")
    if "incorrectly configured region" in found:
        return ModelUnusable(f"{where}: set AWS_REGION to the region of the bucket")
    return Unreachable(f"{where} does not answer ({found})")


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:300]
