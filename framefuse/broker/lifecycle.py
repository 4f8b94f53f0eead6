"""The embedded broker: a real Apache Kafka on this machine, in a process that outlives its starter.

Start, stop, find. Listens on loopback only, never speaks for a broker it did not start, and imports no Kafka
client. What lies in a data directory is `framefuse.broker.home`'s affair.
"""

import os
import signal
import socket
import struct
import time
from collections.abc import Mapping
from pathlib import Path

import platformdirs

from framefuse.broker import jars
from framefuse.broker.home import BrokerHome, RunningBroker
from framefuse.broker.java import find_java
from framefuse.broker.launch import Launch
from framefuse.errors import BrokerUnavailable, Stop

KAFKA_VERSION = "4.2.1"
USUAL_PORT = 9092
DATA_VARIABLE = "FRAMEFUSE_BROKER_DATA"
LOCK = Path(__file__).with_name("kafka.lock")
_HOST = "127.0.0.1"
_POLL_S = 0.05
_KILL_TIMEOUT_S = 10.0


def default_data_dir() -> Path:
    """Where `broker up` keeps its log: `FRAMEFUSE_BROKER_DATA`, else this user's data folder."""
    chosen = os.environ.get(DATA_VARIABLE)
    return Path(chosen) if chosen else platformdirs.user_data_path("framefuse") / "broker"


def start(
    data_dir: Path | None = None,
    *,
    port: int | None = None,
    extra: Mapping[str, str] | None = None,
    cluster_id: str | None = None,
    progress: jars.Progress | None = None,
    timeout_s: float = 60.0,
) -> RunningBroker:
    """Start the broker of `data_dir` and wait until it answers; give the one that runs if there is one.

    Args:
        data_dir: made when missing; a second start on it finds the topics and records of the first.
        port: None takes the port of the last start, else 9092, else any; 0 takes any free one.
        extra: Kafka properties that win over ours.
        cluster_id: for the first start only, 22 characters of base64url; brokers of one cluster share it.
        progress: told about bytes of jars fetched, see `framefuse.broker.jars.resolve`.
        timeout_s: how long the JVM may take until it answers.

    Raises:
        Stop: no Java, no jars, the port is taken, the running broker listens on another port, or a newer one
            wrote what is there.
        BrokerUnavailable: the JVM ended or did not answer in time; carries the end of its log.
    """
    home = _home(data_dir)
    home.path.mkdir(parents=True, exist_ok=True)
    with home.locked():
        running = home.running()
        if running is not None:
            _require_port(running, port)
            _wait_until_it_answers(home, running, timeout_s)
            return running
        _refuse_newer(home)
        launch = Launch(home, find_java(), jars.resolve(LOCK, progress=progress))
        chosen = _choose_port(port, home.last_port())
        launch.prepare(chosen, _free_port(), extra=extra or {}, cluster_id=cluster_id)
        started = RunningBroker(f"{_HOST}:{chosen}", launch.detach(), KAFKA_VERSION, time.time(), home.path)
        try:
            home.remember(started)
            _wait_until_it_answers(home, started, timeout_s)
        except BaseException:
            home.end(started.pid, signal.SIGKILL, _KILL_TIMEOUT_S)
            raise
        return started


def stop(data_dir: Path | None = None, *, graceful: bool = True, timeout_s: float = 30.0) -> bool:
    """End the broker of `data_dir`; False when none runs.

    A graceful stop that takes longer than `timeout_s` becomes a kill: the log survives both.
    """
    home = _home(data_dir)
    if home.running() is None:
        return False
    with home.locked():
        running = home.running()
        if running is None:
            return False
        if graceful and home.end(running.pid, signal.SIGTERM, timeout_s):
            return True
        if not home.end(running.pid, signal.SIGKILL, _KILL_TIMEOUT_S):
            raise Stop(f"the broker with pid {running.pid} could not be killed: look at it with 'ps'")
        return True


def status(data_dir: Path | None = None) -> RunningBroker | None:
    """The broker of `data_dir` if its process is alive and ours, else None; it may still be starting."""
    return _home(data_dir).running()


def running_bootstrap(data_dir: Path | None = None) -> str | None:
    """The `host:port` of the broker that `broker up` started, else None."""
    running = status(data_dir)
    return None if running is None else running.bootstrap


def unclaimed_bootstrap() -> str | None:
    """Where a Kafka answers at the usual port of this machine; ask only where no broker of ours is known."""
    usual = f"{_HOST}:{USUAL_PORT}"
    return usual if answers(usual) else None


def answers(bootstrap: str, timeout_s: float = 1.0) -> bool:
    """Whether a Kafka broker answers at `host:port`: asks for its API versions over a plain socket."""
    host, _, port = bootstrap.rpartition(":")
    client = b"framefuse"
    # Kafka's request header v1: api key 18 (ApiVersions), version 0, correlation id, client id; no body.
    request = struct.pack(">hhih", 18, 0, os.getpid(), len(client)) + client
    try:
        with socket.create_connection((host, int(port)), timeout=timeout_s) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            with connection.makefile("rb") as reply:
                head = reply.read(10)
    except OSError:
        return False
    return head[4:] == struct.pack(">ih", os.getpid(), 0)


def _home(data_dir: Path | None) -> BrokerHome:
    return BrokerHome((default_data_dir() if data_dir is None else data_dir).expanduser().resolve())


def _refuse_newer(home: BrokerHome) -> None:
    """Say so at once where a newer Kafka was at work: ours would end while it starts, in words of its own."""
    last = home.last_version()
    if last is not None and _numbers(last) > _numbers(KAFKA_VERSION):
        raise Stop(
            f"{home.path} was written by Kafka {last}, and Kafka {KAFKA_VERSION} cannot read it: move it away"
            f" or keep another folder in {DATA_VARIABLE}; older ones are read"
        )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())


def _require_port(running: RunningBroker, port: int | None) -> None:
    if port not in (None, 0, running.port):
        raise Stop(
            f"a broker of {running.data_dir} already runs on port {running.port}, port {port} was asked for:"
            " run 'framefuse broker down' first, or choose another folder with --data"
        )


def _wait_until_it_answers(home: BrokerHome, broker: RunningBroker, timeout_s: float) -> None:
    """The log is ours alone: the port by itself could be answered by somebody else's broker."""
    deadline = time.monotonic() + timeout_s
    while not (home.has_logged("Kafka Server started") and answers(broker.bootstrap)):
        if not home.owns(broker.pid):
            raise BrokerUnavailable(
                f"the broker ended while it started; the end of its log:\n{home.log_tail()}"
            )
        if time.monotonic() > deadline:
            raise BrokerUnavailable(
                f"the broker did not answer at {broker.bootstrap} within {timeout_s:g} s;"
                f" the end of its log:\n{home.log_tail()}"
            )
        time.sleep(_POLL_S)


def _choose_port(asked: int | None, last: int | None) -> int:
    if asked:
        if not _is_free(asked):
            raise Stop(f"port {asked} on {_HOST} is taken by another program: choose another with --port")
        return asked
    candidates = (last, USUAL_PORT) if asked is None else ()
    return next((port for port in candidates if port is not None and _is_free(port)), None) or _free_port()


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError:
            return False
        return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
        return port
