"""Fetching jars from a real HTTP repository on loopback: what arrives, what is refused, what stays."""

import gc
import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from framefuse.broker import jars
from framefuse.broker.jars import Coordinate, Jar, Lock
from framefuse.errors import Stop


@dataclass
class Repository:
    """Files by path; the first answer for a path in `breaks` ends in the middle."""

    files: dict[str, bytes] = field(default_factory=dict)
    breaks: set[str] = field(default_factory=set)

    def publish(self, text: str, content: bytes) -> Jar:
        coordinate = Coordinate.parse(text)
        self.files[f"/{coordinate.path}"] = content
        return Jar(coordinate, len(content), hashlib.sha256(content).hexdigest())


@pytest.fixture
def repository(monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    contents = Repository()

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = contents.files.get(self.path)
            if content is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            half = self.path in contents.breaks
            contents.breaks.discard(self.path)
            self.wfile.write(content[: len(content) // 2] if half else content)

        def log_message(self, *_: object) -> None:
            """A quiet server."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        monkeypatch.setenv(jars.REPOSITORY_VARIABLE, f"http://127.0.0.1:{server.server_port}/")
        yield contents
        server.shutdown()
        thread.join()
    gc.collect()  # a connection left open is told here, and not in the middle of some later test


def a_lock(folder: Path, *locked: Jar) -> Path:
    path = folder / "test.lock"
    path.write_text(str(Lock((), (), locked)))
    return path


def cached_files(cache: Path) -> set[str]:
    return {path.name for path in cache.rglob("*") if path.is_file()}


def test_all_jars_arrive_in_the_order_of_the_lock(repository: Repository, tmp_path: Path) -> None:
    locked = [repository.publish(f"org.example:part-{n}:1.0", bytes([n]) * 100_000) for n in range(20)]
    seen: list[tuple[int, int]] = []
    paths = jars.resolve(
        a_lock(tmp_path, *locked), tmp_path / "cache", lambda done, total: seen.append((done, total))
    )
    assert [path.read_bytes()[0] for path in paths] == list(range(20))
    assert seen == sorted(seen)
    assert seen[-1] == (2_000_000, 2_000_000)


def test_a_second_resolve_needs_no_repository(repository: Repository, tmp_path: Path) -> None:
    lock = a_lock(tmp_path, repository.publish("org.example:part:1.0", b"bytes"))
    first = jars.resolve(lock, tmp_path / "cache")
    repository.files.clear()
    assert jars.resolve(lock, tmp_path / "cache") == first


def test_a_jar_with_other_bytes_never_reaches_the_cache(repository: Repository, tmp_path: Path) -> None:
    expected = repository.publish("org.example:part:1.0", b"what was locked")
    repository.publish("org.example:part:1.0", b"what is there now")
    with pytest.raises(Stop, match=r"is not the org\.example:part:1\.0 of the lock"):
        jars.resolve(a_lock(tmp_path, expected), tmp_path / "cache")
    assert cached_files(tmp_path / "cache") == set()


def test_a_connection_that_breaks_is_tried_again(repository: Repository, tmp_path: Path) -> None:
    jar = repository.publish("org.example:part:1.0", b"0123456789" * 10_000)
    repository.breaks.add(f"/{jar.coordinate.path}")
    (path,) = jars.resolve(a_lock(tmp_path, jar), tmp_path / "cache")
    assert path.stat().st_size == 100_000
    assert repository.breaks == set()


def test_a_jar_that_nobody_has_stops_with_the_way_to_a_mirror(repository: Repository, tmp_path: Path) -> None:
    missing = Jar(Coordinate.parse("org.example:gone:1.0"), 5, "0" * 64)
    present = repository.publish("org.example:part:1.0", b"bytes")
    with pytest.raises(Stop, match=rf"org\.example:gone:1\.0.*{jars.REPOSITORY_VARIABLE}"):
        jars.resolve(a_lock(tmp_path, missing, present), tmp_path / "cache")
    assert cached_files(tmp_path / "cache") <= {"part-1.0.jar"}


def test_a_lock_made_anew_follows_what_runs_and_leaves_out_tests_and_exclusions(
    repository: Repository, tmp_path: Path
) -> None:
    dependencies = "".join(
        f"<dependency><groupId>org.example</groupId><artifactId>{name}</artifactId>"
        f"<version>1.0</version><scope>{scope}</scope></dependency>"
        for name, scope in [
            ("used", "compile"),
            ("loaded", "runtime"),
            ("unwanted", "runtime"),
            ("check", "test"),
        ]
    )
    for name, body in [
        ("root", f"<dependencies>{dependencies}</dependencies>"),
        ("used", ""),
        ("loaded", ""),
    ]:
        repository.publish(f"org.example:{name}:1.0", name.encode())
        repository.files[f"/org/example/{name}/1.0/{name}-1.0.pom"] = (
            "<project><modelVersion>4.0.0</modelVersion><groupId>org.example</groupId>"
            f"<artifactId>{name}</artifactId><version>1.0</version>{body}</project>"
        ).encode()
    repository.files["/org/example/unwanted/1.0/unwanted-1.0.pom"] = repository.files[
        "/org/example/used/1.0/used-1.0.pom"
    ].replace(b"used", b"unwanted")
    lock = tmp_path / "test.lock"
    lock.write_text("# root org.example:root:1.0\n# exclude org.example:un*\n")
    assert jars.main([str(lock)]) == 0
    made = Lock.parse(lock.read_text())
    assert [jar.coordinate.artifact for jar in made.jars] == ["loaded", "root", "used"]
    assert jars.resolve(lock, tmp_path / "cache")[1].read_bytes() == b"root"
