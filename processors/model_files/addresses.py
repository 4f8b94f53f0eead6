"""What the setting `model` may say, taken apart. Pure, but for one question: whether a path exists."""

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit, urlunsplit

from framefuse.errors import ModelUnusable

HUB_ENDPOINT_VARIABLE = "HF_ENDPOINT"
STORE_SCHEMES = ("s3", "s3a", "gs", "az", "azure", "abfs", "abfss")
KINDS = "a path, s3://…, gs://…, az://…, https://… or a Hugging Face id (owner/name, or hf:owner/name:FILE)"

_PIN = re.compile(r"#sha256:(.*)$", re.DOTALL)
_HEX = re.compile(r"[0-9a-f]{64}")
_PART = r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}"
_HUB = re.compile(rf"(?P<repo>{_PART}/{_PART})(@(?P<revision>[A-Za-z0-9._/-]+))?(:(?P<file>[^:@\s]+))?")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(?=://)")


@dataclass(frozen=True, slots=True)
class LocalPlace:
    """A file or folder of this machine."""

    path: Path
    pin: str | None = None


@dataclass(frozen=True, slots=True)
class StorePlace:
    """An object, or what lies below a prefix, in S3, GCS or Azure."""

    bucket: str
    """As `s3://bucket`."""
    key: str
    pin: str | None = None


@dataclass(frozen=True, slots=True)
class WebPlace:
    """A file behind an URL."""

    url: str
    pin: str | None = None


@dataclass(frozen=True, slots=True)
class HubPlace:
    """A repository of Hugging Face, or one file of it."""

    repo: str
    revision: str = "main"
    file: str | None = None
    pin: str | None = None


Place = LocalPlace | StorePlace | WebPlace | HubPlace


def parse(address: str, *, pin: str | None = None) -> Place:
    """The place that an address names; a path that exists wins over a Hugging Face id.

    Args:
        address: what the user wrote, with or without a `#sha256:…` behind it.
        pin: what the user said beside it.

    Raises:
        ModelUnusable: it is none of the kinds, or a pin is no sha256, or there are two that differ.
    """
    bare, found = _without_pin(address)
    agreed = _agreed(found, pin)
    scheme = _SCHEME.match(bare)
    if scheme is not None:
        return replace(_of_scheme(scheme.group().lower(), bare), pin=agreed)
    if bare.startswith("hf:"):
        hub = _hub(bare.removeprefix("hf:"))
        if hub is None:
            raise ModelUnusable(
                f"{bare} is no Hugging Face address: expected hf:owner/name, hf:owner/name@revision "
                "or hf:owner/name:folder/model.onnx"
            )
        return replace(hub, pin=agreed)
    try:
        path = Path(bare).expanduser()
    except RuntimeError:
        raise ModelUnusable(f"{bare}: there is no such user, give the whole path") from None
    hub = None if path.exists() or _means_a_path(bare) else _hub(bare)
    return LocalPlace(path, agreed) if hub is None else replace(hub, pin=agreed)


def shown(place: Place) -> str:
    """The address as a log may tell it: no user, no password, no signature."""
    match place:
        case LocalPlace(path):
            return str(path)
        case StorePlace(bucket, key):
            return f"{bucket}/{key}"
        case WebPlace(url):
            parts = urlsplit(url)
            host = parts.netloc.rpartition("@")[2]
            return urlunsplit((parts.scheme, host, parts.path, "", ""))
        case HubPlace(repo, revision, file):
            at = "" if revision == "main" else f"@{revision}"
            return f"hf:{repo}{at}{f':{file}' if file else ''}"


def last_part(place: Place) -> str:
    """The file's name, or of a repository its own; "" where there is none."""
    match place:
        case LocalPlace(path):
            return path.name
        case StorePlace(_, key):
            return PurePosixPath(key).name
        case WebPlace(url):
            return PurePosixPath(unquote(urlsplit(url).path)).name
        case HubPlace(repo, _, file):
            return repo if file is None else PurePosixPath(file).name


def hub_endpoint() -> str:
    """Where the hub is: `HF_ENDPOINT`, as Hugging Face's own programs read it."""
    return os.environ.get(HUB_ENDPOINT_VARIABLE, "https://huggingface.co").rstrip("/")


def checked_pin(pin: str) -> str:
    """64 lower-case hex digits.

    Raises:
        ModelUnusable: it is something else.
    """
    digits = pin.strip().lower().removeprefix("sha256:")
    if not _HEX.fullmatch(digits):
        raise ModelUnusable(
            f"{pin!r} is no sha256: expected 64 hex digits, as 'framefuse models check' shows"
        )
    return digits


def _without_pin(address: str) -> tuple[str, str | None]:
    found = _PIN.search(address)
    if found is None:
        return address, None
    return address[: found.start()], checked_pin(found.group(1))


def _agreed(in_address: str | None, beside: str | None) -> str | None:
    said = None if beside is None else checked_pin(beside)
    if None not in (in_address, said) and in_address != said:
        raise ModelUnusable(f"two pins that differ: {in_address} behind the address, {said} beside it")
    return in_address or said


def _of_scheme(scheme: str, url: str) -> Place:
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError as error:
        raise ModelUnusable(f"{scheme}://… is no address: {error}") from None
    if scheme in STORE_SCHEMES:
        if not parts.netloc or not parts.path.strip("/"):
            raise ModelUnusable(f"{url} names no object: name a file, as {scheme}://bucket/path/model.onnx")
        return StorePlace(f"{scheme}://{parts.netloc}", unquote(parts.path).strip("/"))
    if scheme in ("https", "http"):
        if not host:
            raise ModelUnusable(f"{scheme}://… names no host: expected {scheme}://host/path/model.onnx")
        name = unquote(parts.path).rpartition("/")[2]
        if name in {"", ".", ".."} or "\0" in name:
            raise ModelUnusable(
                f"{shown(WebPlace(url))} is no file: name a file, as {scheme}://host/path/model.onnx"
            )
        return WebPlace(url)
    if scheme == "file":
        return LocalPlace(Path(unquote(parts.path)))
    raise ModelUnusable(f"{scheme}:// is no place for a model: expected {KINDS}")


def _hub(text: str) -> HubPlace | None:
    found = _HUB.fullmatch(text)
    if found is None or ".." in text or (found["file"] and not PurePosixPath(found["file"]).name):
        return None
    return HubPlace(found["repo"], found["revision"] or "main", found["file"])


def _means_a_path(text: str) -> bool:
    """Whether nobody could mean a repository: `./x/y`, `/x`, `~/x`, or a file with a model's suffix."""
    return text.startswith((".", "/", "~")) or Path(text).suffix in (".onnx", ".ort")
