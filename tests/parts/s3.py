"""A real S3 server for tests: s3proxy over a folder, on loopback, started once a run."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from framefuse.broker import jars
from framefuse.broker.java import find_java
from tests.parts.ports import free_port

LOCK = Path(__file__).with_name("s3proxy.lock")
_READY_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class S3Server:
    """Where the server is and who may write; `region` is anything, the path style is needed."""

    endpoint: str
    access_key: str
    secret: str
    bucket: str
    folder: Path
    """Where it keeps the objects of the bucket, each as a file."""

    def environment(self, endpoint: str | None = None) -> dict[str, str]:
        """What a user sets for an S3 server of their own."""
        return {
            "AWS_ENDPOINT": endpoint or self.endpoint,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
        }


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """An S3 server with one empty bucket; tests write below a prefix of their own."""
    with _running_s3(tmp_path_factory.mktemp("s3")) as server:
        yield server


@contextmanager
def _running_s3(folder: Path) -> Iterator[S3Server]:
    port = free_port()
    bucket = folder / "buckets" / "frames"
    bucket.mkdir(parents=True)
    server = S3Server(f"http://127.0.0.1:{port}", "framefuse", "only-for-tests", bucket.name, bucket)
    classpath = ":".join(map(str, jars.resolve(LOCK)))
    flags = ["-Xmx128m", "-XX:+UseSerialGC", f"-Dlogback.configurationFile={_logback(folder)}"]
    command = [str(find_java()), *flags, "-cp", classpath, "org.gaul.s3proxy.Main"]
    log = folder / "s3proxy.log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [*command, "--properties", str(_properties(folder, server))],
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            _wait_until_it_listens(process, port, log)
            yield server
        finally:
            process.kill()


def _properties(folder: Path, server: S3Server) -> Path:
    path = folder / "s3proxy.properties"
    path.write_text(
        f"s3proxy.endpoint={server.endpoint}\n"
        "s3proxy.authorization=aws-v2-or-v4\n"
        f"s3proxy.identity={server.access_key}\n"
        f"s3proxy.credential={server.secret}\n"
        "jclouds.provider=filesystem-nio2\n"
        "jclouds.identity=unused\n"
        "jclouds.credential=unused\n"
        f"jclouds.filesystem.basedir={folder / 'buckets'}\n"
    )
    return path


def _logback(folder: Path) -> Path:
    path = folder / "logback.xml"
    path.write_text(
        '<configuration><appender name="out" class="ch.qos.logback.core.ConsoleAppender">'
        "<encoder><pattern>%d %level %logger %msg%n</pattern></encoder></appender>"
        '<root level="warn"><appender-ref ref="out"/></root></configuration>'
    )
    return path


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _READY_TIMEOUT_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"s3proxy did not start:\n{log.read_text('utf-8', errors='replace')[-2000:]}")
            time.sleep(0.05)
        else:
            return
