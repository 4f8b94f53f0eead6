"""From what the user wrote to files on this disk, of known content: `fetch_file`, `fetch_folder`.

A pinned model that is in the cache needs no network. One without a pin asks its place whether it has changed;
when the place does not answer, what is in the cache serves, and a warning says so.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from framefuse.errors import ModelUnusable
from processors.model_files.addresses import HubPlace, LocalPlace, Place, WebPlace, last_part, parse, shown
from processors.model_files.anatomy import companions_of
from processors.model_files.choice import (
    SETTINGS,
    only_onnx,
    refuse_torch_file,
    settings_folder,
    torch_files,
)
from processors.model_files.far import agreeing, fetch_far, remote_folder
from processors.model_files.hashing import file_sha256, joint_sha256
from processors.model_files.model import FetchOptions, LocalModel
from processors.model_files.remotes import NotThere, Unreachable

__all__ = ["FetchOptions", "LocalModel", "fetch_file", "fetch_folder", "names_at"]


def fetch_file(address: str, options: FetchOptions | None = None) -> LocalModel:
    """The ONNX file at an address, with the weights that lie beside it, and what transformers says of it.

    Args:
        address: a path, s3://, gs://, az://, https://, a Hugging Face id; `#sha256:…` behind it is a pin.
        options: pin, limits, cache.

    Raises:
        ModelUnusable: there is none, it is not the pinned one, too large, or a pickle.
    """
    wanted = options or FetchOptions()
    place = parse(address, pin=wanted.pin)
    refuse_torch_file(last_part(place))
    if isinstance(place, LocalPlace):
        return _local_file(place, address)
    with _maybe_a_path(place, address):
        return fetch_far(place, wanted, "file")


def fetch_folder(address: str, options: FetchOptions | None = None) -> LocalModel:
    """A torch model: a folder with `config.json` and safetensors; never code, a pickle only if trusted.

    Raises:
        ModelUnusable: as `fetch_file`.
    """
    wanted = options or FetchOptions()
    place = parse(address, pin=wanted.pin)
    if isinstance(place, LocalPlace):
        return _local_folder(place, address, trust_pickle=wanted.trust_pickle)
    if isinstance(place, HubPlace) and place.file is not None:
        raise ModelUnusable(
            f"{shown(place)} is a file: expected a repository with config.json and safetensors"
        )
    with _maybe_a_path(place, address):
        return fetch_far(place, wanted, "folder")


def names_at(address: str, options: FetchOptions | None = None) -> Sequence[str]:
    """What files there are at a folder's or repository's address; of a file its own name.

    Raises:
        ModelUnusable: there is nothing, or it cannot be asked.
    """
    wanted = options or FetchOptions()
    place = parse(address, pin=wanted.pin)
    if isinstance(place, LocalPlace):
        _must_exist(place.path, address)
        if place.path.is_file():
            return [place.path.name]
        return sorted(
            path.relative_to(place.path).as_posix() for path in place.path.rglob("*") if path.is_file()
        )
    if isinstance(place, WebPlace) or (isinstance(place, HubPlace) and place.file is not None):
        return [last_part(place)]
    with _maybe_a_path(place, address):
        return remote_folder(place, wanted.transfer).names()


# ── on this machine ──


def _local_file(place: LocalPlace, address: str) -> LocalModel:
    path = place.path
    _must_exist(path, address)
    if path.is_dir():
        path /= only_onnx(names_at(str(path)), str(path))
    try:
        needs = companions_of(path)
        files = {name: path.parent / name for name in (path.name, *needs.weights)}
        if needs.settings:
            folder = settings_folder(path)
            files |= {name: folder / name for name in SETTINGS if (folder / name).is_file()}
        hashes = {name: file_sha256(one) for name, one in files.items()}
    except OSError as error:
        raise _cannot_read(path, error) from error
    return agreeing(
        LocalModel(path, path.name, joint_sha256(hashes), tuple(files), str(place.path)), place.pin
    )


def _local_folder(place: LocalPlace, address: str, *, trust_pickle: bool) -> LocalModel:
    _must_exist(place.path, address)
    if not place.path.is_dir():
        raise ModelUnusable(
            f"{place.path} is a file: expected a folder with config.json and model.safetensors"
        )
    names = torch_files(names_at(str(place.path)), str(place.path), trust_pickle=trust_pickle)
    try:
        hashes = {name: file_sha256(place.path / name) for name in names}
    except OSError as error:
        raise _cannot_read(place.path, error) from error
    name = place.path.resolve().name
    return agreeing(
        LocalModel(place.path, name, joint_sha256(hashes), tuple(names), str(place.path)), place.pin
    )


@contextmanager
def _maybe_a_path(place: Place, address: str) -> Iterator[None]:
    """Who mistypes a folder of this machine has named a repository, and hears of both."""
    try:
        yield
    except (NotThere, Unreachable) as error:
        if not isinstance(place, HubPlace) or address.startswith("hf:"):
            raise
        raise type(error)(f"{error} (and there is no such file or folder here)") from error


def _must_exist(path: Path, address: str) -> None:
    if path.exists():
        return
    tried = "" if address.startswith((".", "/", "~", "file:")) else f"; for Hugging Face say hf:{address}"
    hint = tried if address.count("/") == 1 else ""
    raise NotThere(f"no model file {path}: give the path of an ONNX file{hint}")


def _cannot_read(path: Path, error: OSError) -> ModelUnusable:
    missing = f" {error.filename}, where its weights are," if error.filename != str(path) else ""
    return ModelUnusable(f"cannot read{missing or ' model'} {path}: {error.strerror}")
