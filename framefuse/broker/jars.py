"""Jars from a Maven repository, exactly those that a lock names: same bytes on every machine.

A lock is a text file: `# root` and `# exclude` lines say what was asked for, every other line is one jar
(coordinate, size in bytes, sha256). Jars are fetched in parallel, checked, and only then moved into the
cache, so the cache never holds half a jar. Knows nothing of Kafka, never runs a jar, and contacts nobody
when all jars are cached.

`python -m framefuse.broker.jars LOCK` makes a lock anew from its `# root` lines.
"""

import argparse
import hashlib
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import platformdirs

from framefuse.errors import BadInput, Stop
from framefuse.installing import install

if TYPE_CHECKING:
    from jgo.maven import Component, Dependency, MavenContext

Progress = Callable[[int, int], None]
"""Called as `progress(done_bytes, total_bytes)` while jars are fetched: from any thread, one at a time."""

REPOSITORY_VARIABLE = "FRAMEFUSE_MAVEN_REPOSITORY"
_PARALLEL_DOWNLOADS = 12
_ATTEMPTS = 3
_CHUNK_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Coordinate:
    """Where a jar lives in any Maven repository; the classifier is "" for the main jar."""

    group: str
    artifact: str
    version: str
    classifier: str = ""

    @classmethod
    def parse(cls, text: str) -> "Coordinate":
        """Read `group:artifact:version[:classifier]`; BadInput when it is something else."""
        parts = text.split(":")
        if len(parts) not in (3, 4) or not all(parts):
            raise BadInput(f"'{text}' is no Maven coordinate: expected group:artifact:version[:classifier]")
        return cls(*parts)

    def __str__(self) -> str:
        return ":".join(part for part in (self.group, self.artifact, self.version, self.classifier) if part)

    @property
    def path(self) -> PurePosixPath:
        """The jar's place below a repository's root, in Maven's own layout."""
        name = "-".join(part for part in (self.artifact, self.version, self.classifier) if part)
        return PurePosixPath(*self.group.split("."), self.artifact, self.version, f"{name}.jar")


@dataclass(frozen=True, slots=True)
class Jar:
    """One line of a lock."""

    coordinate: Coordinate
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Lock:
    """The jars of a program: what was asked for, what that left out, and what it came to."""

    roots: tuple[Coordinate, ...]
    excludes: tuple[str, ...]
    jars: tuple[Jar, ...]

    @classmethod
    def parse(cls, text: str) -> "Lock":
        """Read a lock's text; BadInput names the first line that does not follow the format."""
        roots: list[Coordinate] = []
        excludes: list[str] = []
        jars: list[Jar] = []
        for number, line in enumerate(text.splitlines(), start=1):
            match line.split():
                case ["#", "root", coordinate]:
                    roots.append(Coordinate.parse(coordinate))
                case ["#", "exclude", pattern]:
                    excludes.append(pattern)
                case [] | ["#", *_]:
                    continue
                case [coordinate, size, sha256] if size.isdecimal() and len(sha256) == 64:
                    jars.append(Jar(Coordinate.parse(coordinate), int(size), sha256))
                case _:
                    raise BadInput(f"line {number} of the lock is '{line}': expected COORDINATE SIZE SHA256")
        return cls(tuple(roots), tuple(excludes), tuple(jars))

    def __str__(self) -> str:
        lines = ["# made by: python -m framefuse.broker.jars LOCK"]
        lines += [f"# root {root}" for root in self.roots]
        lines += [f"# exclude {pattern}" for pattern in self.excludes]
        lines += [f"{jar.coordinate} {jar.size_bytes} {jar.sha256}" for jar in self.jars]
        return "\n".join(lines) + "\n"


def default_cache() -> Path:
    """The folder where this user's jars are kept, shared by all projects."""
    return platformdirs.user_cache_path("framefuse") / "jars"


def resolve(lock: Path, cache: Path | None = None, progress: Progress | None = None) -> list[Path]:
    """Give the paths of all jars of `lock`, in the lock's order, each with the locked sha256.

    Args:
        lock: a file in the format of this module.
        cache: where jars are kept between runs; by default `default_cache()`.
        progress: told about bytes fetched; never called when everything is cached.

    Raises:
        Stop: a jar differs from the lock (it is removed), or cannot be fetched.
    """
    jars = Lock.parse(lock.read_text("utf-8")).jars
    folder = default_cache() if cache is None else cache
    missing = [jar for jar in jars if not _is_cached(jar, folder)]
    if missing:
        _fetch_all(missing, folder, progress)
    return [folder / jar.coordinate.path for jar in jars]


def relock(lock: Lock) -> Lock:
    """Follow the dependencies of the lock's roots anew and hash what a repository gives for them today."""
    with tempfile.TemporaryDirectory() as scratch:
        context = _maven(Path(scratch))
        found: dict[tuple[str, str, str], Coordinate] = {}
        for root in lock.roots:
            for coordinate in (root, *_closure(_component(context, root))):
                found.setdefault((coordinate.group, coordinate.artifact, coordinate.classifier), coordinate)
        wanted = [c for c in found.values() if not _is_excluded(c, lock.excludes)]
        with ThreadPoolExecutor(_PARALLEL_DOWNLOADS) as pool:
            jars = pool.map(lambda coordinate: _jar_of(coordinate, _download(context, coordinate)), wanted)
            return Lock(lock.roots, lock.excludes, tuple(sorted(jars, key=lambda jar: str(jar.coordinate))))


def _is_cached(jar: Jar, cache: Path) -> bool:
    path = cache / jar.coordinate.path
    if not path.exists():
        return False
    _refuse_other_bytes(jar, path)
    return True


def _refuse_other_bytes(jar: Jar, path: Path) -> None:
    found = _sha256(path)
    if found == jar.sha256:
        return
    path.unlink()
    raise Stop(
        f"{path} is not the {jar.coordinate} of the lock: found sha256 {found}, expected {jar.sha256}."
        " It was removed: run the command again to fetch it anew"
        f" (if it differs again, look at the repository in {REPOSITORY_VARIABLE} or at a proxy on the way)"
    )


def _fetch_all(jars: Sequence[Jar], cache: Path, progress: Progress | None) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    counter = _ByteCounter(sum(jar.size_bytes for jar in jars), progress)
    with (
        tempfile.TemporaryDirectory(dir=cache, prefix=".partial-") as scratch,
        ThreadPoolExecutor(_PARALLEL_DOWNLOADS) as pool,
    ):
        context = _maven(Path(scratch))

        def fetch(jar: Jar) -> None:
            fetched = _download(context, jar.coordinate, counter)
            _refuse_other_bytes(jar, fetched)
            final = cache / jar.coordinate.path
            final.parent.mkdir(parents=True, exist_ok=True)
            fetched.replace(final)

        downloads = [pool.submit(fetch, jar) for jar in jars]
        try:
            for download in as_completed(downloads):
                download.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


class _ByteCounter:
    """Adds up what all threads have fetched and passes it on."""

    def __init__(self, total_bytes: int, progress: Progress | None) -> None:
        self._total_bytes = total_bytes
        self._progress = progress
        self._done_bytes = 0
        self._lock = threading.Lock()

    def add(self, size_bytes: int) -> None:
        with self._lock:
            self._done_bytes += size_bytes
            if self._progress is not None:
                self._progress(min(self._done_bytes, self._total_bytes), self._total_bytes)


def _maven(folder: Path) -> "MavenContext":
    try:
        from jgo.maven import MavenContext
    except ImportError as error:
        raise Stop(f"jars have to be fetched and jgo is not installed: {install('jgo>=3.2,<4')}") from error
    mirror = os.environ.get(REPOSITORY_VARIABLE)
    return MavenContext(
        repo_cache=folder,
        remote_repos={"mirror": mirror.rstrip("/")} if mirror else None,
    )


def _component(context: "MavenContext", coordinate: Coordinate) -> "Component":
    return context.project(coordinate.group, coordinate.artifact).at_version(coordinate.version)


def _download(context: "MavenContext", coordinate: Coordinate, counter: _ByteCounter | None = None) -> Path:
    """Fetch a jar into the context's folder, not with jgo: it closes no answer that it refuses."""
    (repository,) = context.remote_repos.values()
    path = context.repo_cache / coordinate.path
    path.parent.mkdir(parents=True, exist_ok=True)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            _write(f"{repository}/{coordinate.path}", path, context.timeout, counter)
            return path
        except OSError as error:
            if attempt == _ATTEMPTS:
                raise Stop(
                    f"could not fetch {coordinate} ({type(error).__name__}: {error}): the first start needs"
                    f" Maven Central or a mirror of it, set {REPOSITORY_VARIABLE} for a mirror"
                ) from error
            time.sleep(attempt / 2)
    raise AssertionError("unreachable")


def _write(url: str, path: Path, silence_s: float, counter: _ByteCounter | None) -> None:
    import requests

    with requests.get(url, stream=True, timeout=silence_s) as answer, path.open("wb") as file:
        answer.raise_for_status()
        for chunk in answer.iter_content(_CHUNK_BYTES):
            file.write(chunk)
            if counter is not None:
                counter.add(len(chunk))


def _closure(component: "Component") -> Iterator[Coordinate]:
    """All jars that the component needs when it runs, its own excluded."""
    from jgo.maven import Model

    model = Model(component.pom(), component.context)
    # jgo follows the test dependencies of the root first and then takes what they share for tests only.
    model.deps = {key: dep for key, dep in model.deps.items() if _runs(dep)}
    dependencies, _tree = model.dependencies()
    for dep in dependencies:
        if _runs(dep) and dep.type == "jar":
            yield Coordinate(dep.groupId, dep.artifactId, dep.version, dep.classifier)


def _runs(dependency: "Dependency") -> bool:
    return dependency.scope in ("compile", "runtime", None)


def _is_excluded(coordinate: Coordinate, patterns: Iterable[str]) -> bool:
    return any(fnmatch(f"{coordinate.group}:{coordinate.artifact}", pattern) for pattern in patterns)


def _jar_of(coordinate: Coordinate, path: Path) -> Jar:
    return Jar(coordinate, path.stat().st_size, _sha256(path))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main(arguments: Sequence[str]) -> int:
    """Make the locks that are named anew, in place; gives the exit status."""
    parser = argparse.ArgumentParser(prog="python -m framefuse.broker.jars", description=main.__doc__)
    parser.add_argument("lock", type=Path, nargs="+", help="a lock with at least its '# root' lines")
    for path in parser.parse_args(arguments).lock:
        path.write_text(str(relock(Lock.parse(path.read_text("utf-8")))), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
