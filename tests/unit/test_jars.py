"""The lock of jars: its text, and that no other bytes than the locked ones are ever given out."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framefuse.broker import KAFKA_VERSION, jars
from framefuse.broker import LOCK as KAFKA_LOCK
from framefuse.broker.jars import Coordinate, Jar, Lock
from framefuse.errors import BadInput, Stop

WORDS = st.from_regex(r"[A-Za-z0-9._-]+", fullmatch=True)
COORDINATES = st.builds(Coordinate, WORDS, WORDS, WORDS, st.just("") | WORDS)
HASHES = st.binary(min_size=32, max_size=32).map(bytes.hex)
LOCKS = st.builds(
    Lock,
    st.lists(COORDINATES, max_size=3).map(tuple),
    st.lists(st.just("com.azure:*"), max_size=2).map(tuple),
    st.lists(st.builds(Jar, COORDINATES, st.integers(0, 10**9), HASHES), max_size=5).map(tuple),
)


def a_lock_of(content: bytes, folder: Path) -> Path:
    jar = Jar(Coordinate.parse("org.example:part:1.0"), len(content), hashlib.sha256(content).hexdigest())
    path = folder / "test.lock"
    path.write_text(str(Lock((), (), (jar,))))
    return path


def a_cached_jar(content: bytes, cache: Path) -> Path:
    path = cache / "org/example/part/1.0/part-1.0.jar"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path


@given(LOCKS)
def test_a_lock_reads_back_as_it_was_written(lock: Lock) -> None:
    assert Lock.parse(str(lock)) == lock


def test_a_coordinate_lies_where_maven_puts_it() -> None:
    native = Coordinate.parse("io.netty:netty-epoll:4.1.0:linux-x86_64")
    assert str(native.path) == "io/netty/netty-epoll/4.1.0/netty-epoll-4.1.0-linux-x86_64.jar"


@pytest.mark.parametrize("text", ["", "kafka", "org.apache.kafka:kafka", "a:b:c:d:e", "a::1.0"])
def test_what_is_no_coordinate_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="group:artifact:version"):
        Coordinate.parse(text)


@pytest.mark.parametrize("line", ["a:b:1", "a:b:1 12", "a:b:1 twelve " + "0" * 64, "a:b:1 12 abc"])
def test_a_broken_line_is_named_by_its_number(line: str) -> None:
    with pytest.raises(BadInput, match="line 2"):
        Lock.parse(f"# made by hand\n{line}\n")


def test_a_cached_jar_is_given_without_asking_anybody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(jars.REPOSITORY_VARIABLE, "http://127.0.0.1:1")
    cached = a_cached_jar(b"bytes of a jar", tmp_path / "cache")
    assert jars.resolve(a_lock_of(b"bytes of a jar", tmp_path), tmp_path / "cache") == [cached]


def test_a_cached_jar_with_other_bytes_is_refused_and_removed(tmp_path: Path) -> None:
    cached = a_cached_jar(b"other bytes", tmp_path / "cache")
    with pytest.raises(Stop, match=r"part-1\.0\.jar is not the org\.example:part:1\.0 of the lock"):
        jars.resolve(a_lock_of(b"bytes of a jar", tmp_path), tmp_path / "cache")
    assert not cached.exists()


def test_the_lock_of_kafka_holds_the_version_that_the_broker_reports_and_a_logger() -> None:
    lock = Lock.parse(KAFKA_LOCK.read_text())
    versions = {jar.coordinate.artifact: jar.coordinate.version for jar in lock.jars}
    assert versions["kafka_2.13"] == versions["kafka-clients"] == KAFKA_VERSION
    assert versions["log4j-slf4j-impl"] == versions["log4j-core"]
    assert {str(root) for root in lock.roots} <= {str(jar.coordinate) for jar in lock.jars}
