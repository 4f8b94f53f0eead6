"""Fetches a model from far away into the cache, or finds that it is there already."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Literal

from framefuse.errors import ModelUnusable
from processors.model_files.addresses import (
    HubPlace,
    Place,
    StorePlace,
    WebPlace,
    hub_endpoint,
    last_part,
    shown,
)
from processors.model_files.anatomy import files_beside
from processors.model_files.cache import Cache, Known, names_in
from processors.model_files.choice import only_onnx, torch_files
from processors.model_files.hashing import file_sha256, joint_sha256
from processors.model_files.hub import HubRepository
from processors.model_files.model import FetchOptions, LocalModel
from processors.model_files.remotes import Download, Remote, TooLarge, Transfer, Unreachable
from processors.model_files.stores import StoreFolder
from processors.model_files.web import WebFolder

log = logging.getLogger("framefuse.models")

Kind = Literal["file", "folder"]
"""An ONNX file with the weights beside it, or a torch model."""


def fetch_far(place: Place, options: FetchOptions, kind: Kind) -> LocalModel:
    """The model of a place, from the cache where it did not change.

    Raises:
        ModelUnusable: see `fetching.fetch_file`.
    """
    cache, pin = Cache(options.cache), place.pin
    hub = hub_endpoint() if isinstance(place, HubPlace) else ""
    key = f"{kind} {hub} {replace(place, pin=None)}"
    if pin is not None and (folder := cache.held(pin)) is not None:
        return _kept(folder, pin, cache.known(key), place)
    with _disk_errors(cache), cache.locked(key):
        known = cache.known(key)
        try:
            return _fetched(place, options, kind, cache, key)
        except Unreachable as error:
            folder = None if known is None or pin is not None else cache.held(known.sha256)
            if known is None or folder is None:
                raise
            log.warning("%s: using the copy with sha256 %s in the cache", error, known.sha256)
            return _kept(folder, known.sha256, known, place)


def remote_folder(place: Place, transfer: Transfer) -> Remote:
    """A place that is a folder or repository."""
    match place:
        case StorePlace(bucket, key):
            return StoreFolder(bucket, key, shown(place), transfer)
        case HubPlace():
            return HubRepository(place, "", transfer)
        case WebPlace(url):
            return WebFolder(url, "", shown(place), transfer)
    raise AssertionError(place)


def agreeing(model: LocalModel, pin: str | None) -> LocalModel:
    """The same model.

    Raises:
        ModelUnusable: it is not the pinned one.
    """
    if pin is not None and model.sha256 != pin:
        raise ModelUnusable(
            f"{model.address} is not the pinned model: found sha256 {model.sha256}, expected {pin}; "
            "if it was changed on purpose, look at it and change the pin"
        )
    return model


def _fetched(place: Place, options: FetchOptions, kind: Kind, cache: Cache, key: str) -> LocalModel:
    known = cache.known(key)
    with cache.scratch() as scratch:
        transfer = _Incoming(place, options, scratch)
        if known is not None and (folder := cache.held(known.sha256)) and not transfer.changed(known):
            return agreeing(_kept(folder, known.sha256, known, place), place.pin)
        names = transfer.onnx() if kind == "file" else transfer.torch()
        sha256 = joint_sha256({name: file_sha256(scratch / name) for name in names})
        agreeing(LocalModel(scratch, "", sha256, names, shown(place)), place.pin)
        folder = cache.keep(scratch, sha256)
    now = Known(shown(place), names[0] if kind == "file" else "", sha256, transfer.versions)
    cache.note(key, now)
    log.info("fetched %s: %.1f MB, sha256 %s", now.address, transfer.got / 1e6, sha256)
    return _kept(folder, sha256, now, place)


def _kept(folder: Path, sha256: str, known: Known | None, place: Place) -> LocalModel:
    """A model of the cache, under the name of its address."""
    names = names_in(folder)
    if known is not None and known.sha256 == sha256:
        main = known.name
    else:  # pinned, and never fetched from this address
        main = "" if "config.json" in names else only_onnx(names, shown(place))
    if main and main not in names:  # the same bytes came under another name
        main = only_onnx(names, shown(place))
    rest = tuple(name for name in names if name != main)
    name = last_part(place)
    if isinstance(place, HubPlace) and main:
        name = f"{place.repo}:{place.file or main}"
    return LocalModel(folder / main, name, sha256, (main, *rest) if main else rest, shown(place))


class _Incoming:
    """The files of one model on their way into a scratch folder, counted against one limit."""

    def __init__(self, place: Place, options: FetchOptions, scratch: Path) -> None:
        self._remote, self._main = _remote_file(place, options.transfer)
        self._options, self._scratch = options, scratch
        self._begun: dict[str, Download] = {}
        self.versions: dict[str, str | None] = {}
        self.got = 0

    def changed(self, known: Known) -> bool:
        """Whether any file is of another version than the one that is known; True where nobody can tell."""
        for name, version in known.versions.items():
            if version is None:
                return True
            download = self._remote.open(name, unless=version)
            if download is not None:
                self._begun[name] = download
                return True
        return not known.versions

    def onnx(self) -> tuple[str, ...]:
        """Fetch a model file and what lies beside it; gives their names."""
        main = self._main or only_onnx(self._remote.names(), self._remote.shown)
        self._get(main)
        folder = PurePosixPath(main).parent
        beside = [str(folder / name) for name in sorted(files_beside(self._scratch / main))]
        for name in beside:
            self._get(name)
        return (main, *beside)

    def torch(self) -> tuple[str, ...]:
        """Fetch configuration and weights; gives their names."""
        trusted = self._options.trust_pickle
        names = torch_files(self._remote.names(), self._remote.shown, trust_pickle=trusted)
        for name in names:
            self._get(name)
        return tuple(names)

    def _get(self, name: str) -> None:
        download = self._begun.pop(name, None) or self._remote.open(name)
        if download is None:
            raise Unreachable(f"{self._remote.shown}: {name} was not given")
        self.versions[name] = download.version
        self._check(name, download.size_bytes or 0)
        path = self._scratch / name
        path.parent.mkdir(parents=True, exist_ok=True)
        before, progress = self.got, self._options.progress
        with path.open("wb") as file:
            for chunk in download.chunks:
                self._check(name, len(chunk))
                self.got += len(chunk)
                file.write(chunk)
                if progress is not None:
                    progress(name, self.got - before, download.size_bytes)

    def _check(self, name: str, more: int) -> None:
        most = self._options.max_bytes
        if self.got + more > most:
            raise TooLarge(
                f"{self._remote.shown}: with {name} it is more than {most / 1e6:.0f} MB: "
                "raise --model-max-mb if that is right"
            )


def _remote_file(place: Place, transfer: Transfer) -> tuple[Remote, str]:
    """The folder a place lies in, and its name there; "" where the place is itself a folder."""
    match place:
        case WebPlace(url):
            name = last_part(place) or "model.onnx"
            return WebFolder(url, name, shown(place), transfer), name
        case StorePlace(bucket, key) if PurePosixPath(key).suffix:
            path = PurePosixPath(key)
            return StoreFolder(bucket, _folder(path), shown(place), transfer), path.name
        case HubPlace(file=str(file)):
            path = PurePosixPath(file)
            return HubRepository(place, _folder(path), transfer), path.name
    return remote_folder(place, transfer), ""


def _folder(path: PurePosixPath) -> str:
    return "" if str(path.parent) == "." else str(path.parent)


@contextmanager
def _disk_errors(cache: Cache) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ModelUnusable(
            f"the model cache {cache.folder} cannot be written ({error.strerror or error}): "
            "mend that, or set XDG_CACHE_HOME to another folder"
        ) from error
