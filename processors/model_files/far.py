"""Fetches a model from far away into the cache, or finds that it is there already."""

import json
import logging
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Literal
from urllib.parse import unquote, urlsplit

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
from processors.model_files.anatomy import companions_of
from processors.model_files.cache import Cache, Known, names_in
from processors.model_files.choice import SETTINGS, only_onnx, settings_folder, torch_files
from processors.model_files.hashing import file_sha256, joint_sha256
from processors.model_files.hub import HubRepository
from processors.model_files.model import FetchOptions, LocalModel, watching
from processors.model_files.remotes import Download, NotThere, Remote, TooLarge, Transfer, Unreachable
from processors.model_files.stores import StoreFolder
from processors.model_files.web import WebFolder

log = logging.getLogger("framefuse.models")
_ABSENT = ""
"""The version of a file that is not there."""

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
        return _kept(folder, pin, cache.known(key), place, kind)
    with cache.locked(key):
        known = cache.known(key)
        try:
            return _fetched(place, options, kind, cache, key)
        except Unreachable as error:
            folder = None if known is None or pin is not None else cache.held(known.sha256)
            if known is None or folder is None:
                raise
            log.warning("%s: using the copy with sha256 %s in the cache", error, known.sha256)
            return _kept(folder, known.sha256, known, place, kind)


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
    if pin is None or model.sha256 == pin:
        return model
    advice = "if it was changed on purpose, look at it and change the pin"
    if len(model.files) > 1 and model.path.is_file() and file_sha256(model.path) == pin:
        advice = f"the pin is that of {model.files[0]} alone, and {', '.join(model.files[1:])} count too"
    raise ModelUnusable(
        f"{model.address} is not the pinned model: found sha256 {model.sha256}, expected {pin}; {advice}"
    )


def _fetched(place: Place, options: FetchOptions, kind: Kind, cache: Cache, key: str) -> LocalModel:
    known = cache.known(key)
    with cache.scratch() as scratch:
        transfer = _Incoming(place, options, cache, scratch)
        if known is not None and (folder := cache.held(known.sha256)) and not transfer.changed(known):
            return agreeing(_kept(folder, known.sha256, known, place, kind), place.pin)
        names = transfer.onnx() if kind == "file" else transfer.torch()
        with cache.writing():  # whoever removes the cache meanwhile removes these too
            sha256 = joint_sha256({name: file_sha256(scratch / name) for name in names})
        main = scratch / names[0] if kind == "file" else scratch
        agreeing(LocalModel(main, "", sha256, names, shown(place)), place.pin)
        folder = cache.keep(scratch, sha256)
    now = Known(shown(place), transfer.main, sha256, transfer.versions)
    cache.note(key, now)
    log.info("fetched %s: %.1f MB, sha256 %s", now.address, transfer.got / 1e6, sha256)
    return _kept(folder, sha256, now, place, kind)


def _kept(folder: Path, sha256: str, known: Known | None, place: Place, kind: Kind) -> LocalModel:
    """A model of the cache, under the name that its file has there, whatever address led to it."""
    names = names_in(folder)
    if kind == "folder":
        return LocalModel(folder, last_part(place), sha256, tuple(names), shown(place))
    far = known.name if known is not None and known.sha256 == sha256 else ""
    main = PurePosixPath(far).name
    if main not in names:  # the same bytes came from another address, perhaps under another name
        main = names[0] if len(names) == 1 else only_onnx(names, shown(place))
    name = main
    if isinstance(place, HubPlace) and PurePosixPath(in_repo := place.file or far).name == main:
        name = f"{place.repo}:{in_repo}"
    rest = (one for one in names if one != main)
    return LocalModel(folder / main, name, sha256, (main, *rest), shown(place))


class _Incoming:
    """The files of one model on their way into a scratch folder, counted against one limit.

    An ONNX file comes to lie at the top, with what it needs around it, however it lay far away.
    """

    def __init__(self, place: Place, options: FetchOptions, cache: Cache, scratch: Path) -> None:
        self._remote, self.main = _remote_file(place, options.transfer)
        self._options, self._cache, self._scratch = options, cache, scratch
        self._begun: dict[str, Download] = {}
        self.versions: dict[str, str | None] = {}
        self.got = 0

    def changed(self, known: Known) -> bool:
        """Whether any file is of another version than the one that is known; True where nobody can tell."""
        for name, version in known.versions.items():
            if version is None:
                return True
            try:
                download = self._remote.open(name, unless=None if version == _ABSENT else version)
            except NotThere:
                if version == _ABSENT:
                    continue
                return True
            if download is not None:
                self._begun[name] = download
                return True
        return not known.versions

    def onnx(self) -> tuple[str, ...]:
        """Fetch a model file and what belongs to it; gives their names here."""
        self.main = self.main or only_onnx(self._remote.names(), self._remote.shown)
        far = PurePosixPath(self.main)
        self._get(self.main, far.name)
        needs = companions_of(self._scratch / far.name, self._remote.shown)
        for name in needs.weights:
            self._get(str(far.parent / name), name)
        names = [far.name, *needs.weights]
        if needs.settings:
            there = {name: str(settings_folder(far) / name) for name in SETTINGS if name not in names}
            names += [name for name, path in there.items() if self._get_settings(path, name)]
        return tuple(names)

    def torch(self) -> tuple[str, ...]:
        """Fetch configuration and weights; gives their names."""
        trusted = self._options.trust_pickle
        names = torch_files(self._remote.names(), self._remote.shown, trust_pickle=trusted)
        for name in names:
            self._get(name, name)
        return tuple(names)

    def _get_settings(self, far: str, name: str) -> bool:
        """Fetch a JSON file if there is one; a page that a web server shows instead is none."""
        try:
            self._get(far, name)
            if isinstance(self._remote, WebFolder) and not _is_json(self._scratch / name):
                raise NotThere(far)
        except NotThere:
            (self._scratch / name).unlink(missing_ok=True)
            self.versions[far] = _ABSENT
            return False
        return True

    def _get(self, far: str, name: str) -> None:
        download = self._begun.pop(far, None) or self._remote.open(far)
        if download is None:
            raise Unreachable(f"{self._remote.shown}: {far} was not given")
        self.versions[far] = download.version
        self._check(name, download.size_bytes or 0)
        path = self._scratch / name
        before, progress = self.got, watching.get()
        log.info("fetching %s of %s (%s)", far, self._remote.shown, _size(download.size_bytes))
        with ExitStack() as stack:
            with self._cache.writing():
                path.parent.mkdir(parents=True, exist_ok=True)
                file = stack.enter_context(path.open("wb"))
            for chunk in download.chunks:
                self._check(name, len(chunk))
                self.got += len(chunk)
                with self._cache.writing():
                    file.write(chunk)
                    file.flush()  # here, not in the end, where nobody could say whose error it is
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
    """The folder of a place and its `SETTINGS`, and its name there; "" where the place is itself a folder."""
    match place:
        case WebPlace(url):
            _, name = _split(unquote(urlsplit(url).path))
            return WebFolder(url, name, shown(place), transfer), name
        case StorePlace(bucket, key) if PurePosixPath(key).suffix:
            folder, name = _split(key)
            return StoreFolder(bucket, folder, shown(place), transfer), name
        case HubPlace(file=str(file)):
            folder, name = _split(file)
            return HubRepository(place, folder, transfer), name
    return remote_folder(place, transfer), ""


def _split(far: str) -> tuple[str, str]:
    path = PurePosixPath(far)
    folder = settings_folder(path)
    return ("" if str(folder) == "." else str(folder)), str(path.relative_to(folder))


def _size(size_bytes: int | None) -> str:
    return "of unknown size" if size_bytes is None else f"{size_bytes / 1e6:.1f} MB"


def _is_json(path: Path) -> bool:
    try:
        return isinstance(json.loads(path.read_text("utf-8")), dict)
    except ValueError:
        return False
