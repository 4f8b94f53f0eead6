"""The data directory of an embedded broker: its files, and the process they belong to.

A pid is believed only when its command line names this directory's settings, so that a pid given anew to
another program is never signalled. Starts nothing.
"""

import fcntl
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

MAIN_CLASS = "kafka.Kafka"
_POLL_S = 0.05
_HAS_PROC = Path("/proc/self").exists()


@dataclass(frozen=True, slots=True)
class RunningBroker:
    """A broker that was alive when this was read.

    Attributes:
        bootstrap: `host:port` for clients.
        pid: of the JVM.
        version: of Apache Kafka.
        started_at: seconds since 1970.
        data_dir: absolute.
    """

    bootstrap: str
    pid: int
    version: str
    started_at: float
    data_dir: Path

    @property
    def port(self) -> int:
        """The port of `bootstrap`."""
        return int(self.bootstrap.rpartition(":")[2])

    def to_json(self) -> str:
        """The text of `broker.json`."""
        fields = {
            "bootstrap": self.bootstrap,
            "pid": self.pid,
            "version": self.version,
            "started_at": self.started_at,
            "data_dir": str(self.data_dir),
        }
        return json.dumps(fields, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "RunningBroker":
        """Read what `to_json` wrote; KeyError, TypeError or ValueError when it is something else."""
        fields = json.loads(text)
        return cls(
            bootstrap=str(fields["bootstrap"]),
            pid=int(fields["pid"]),
            version=str(fields["version"]),
            started_at=float(fields["started_at"]),
            data_dir=Path(fields["data_dir"]),
        )


@dataclass(frozen=True, slots=True)
class BrokerHome:
    """One data directory; `path` is absolute and without links."""

    path: Path

    @property
    def settings(self) -> Path:
        """What Kafka reads; rewritten at every start."""
        return self.path / "server.properties"

    @property
    def log4j(self) -> Path:
        """How Kafka logs; rewritten at every start."""
        return self.path / "log4j2.properties"

    @property
    def log_file(self) -> Path:
        """What Kafka logs since its last start; the file before it has `.1` behind its name."""
        return self.path / "broker.log"

    @property
    def console_file(self) -> Path:
        """What the JVM itself prints: nothing, unless it cannot start or breaks."""
        return self.path / "broker.out"

    @property
    def state(self) -> Path:
        """By this file other processes find the broker; it stays when the broker ends."""
        return self.path / "broker.json"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory against a start or stop in another process; waits for its turn."""
        with (self.path / "broker.lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def remember(self, broker: RunningBroker) -> None:
        """Write the state in one step: readers see the old one or the new one."""
        fresh = self.state.with_name("broker.json.new")
        fresh.write_text(broker.to_json(), "utf-8")
        fresh.replace(self.state)

    def running(self) -> RunningBroker | None:
        """The broker of this directory while its process lives, else None."""
        broker = self._remembered()
        return broker if broker is not None and self.owns(broker.pid) else None

    def last_port(self) -> int | None:
        """The port of the last start, None when there was none."""
        broker = self._remembered()
        return None if broker is None else broker.port

    def last_version(self) -> str | None:
        """The version of Kafka at the last start, None when there was none."""
        broker = self._remembered()
        return None if broker is None else broker.version

    def owns(self, pid: int) -> bool:
        """Whether the process is alive and is Kafka with this directory's settings."""
        return _command_line(pid).endswith(f"{MAIN_CLASS} {self.settings}")

    def end(self, pid: int, sign: signal.Signals, timeout_s: float) -> bool:
        """Signal the process if it is ours and wait for its end; False when it still lives."""
        if not self.owns(pid):
            return True
        deadline = time.monotonic() + timeout_s
        with suppress(ProcessLookupError):
            os.kill(pid, sign)
        while _is_alive(pid):
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_S)
        return True

    def has_logged(self, text: str) -> bool:
        """Whether Kafka has logged `text` since its last start."""
        try:
            return text.encode() in self.log_file.read_bytes()
        except FileNotFoundError:
            return False

    def log_tail(self, lines: int = 15) -> str:
        """The end of both log files without stack frames, for an error message."""
        found: list[str] = []
        for path in (self.log_file, self.console_file):
            if path.exists():
                text = path.read_text("utf-8", errors="replace")
                told = [line for line in text.splitlines() if not line.startswith(("\tat ", "\t... "))]
                found += told[-lines:]
        return "\n".join(found) or "(nothing was logged)"

    def _remembered(self) -> RunningBroker | None:
        try:
            return RunningBroker.from_json(self.state.read_text("utf-8"))
        except (OSError, KeyError, TypeError, ValueError):
            return None


def _is_alive(pid: int) -> bool:
    """Whether any thread of the process still holds its ports and files; a zombie's do not."""
    if not _HAS_PROC:
        return bool(_command_line(pid))
    return any(_state_of(thread) not in "ZX" for thread in Path(f"/proc/{pid}/task").glob("*/stat"))


def _state_of(thread: Path) -> str:
    """The letter that the kernel gives a thread's state, `X` when it is gone."""
    try:
        return thread.read_text("utf-8", errors="replace").rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def _command_line(pid: int) -> str:
    """What the process was started with; "" when there is none or it has ended."""
    if _HAS_PROC:
        try:
            raw = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return ""
        return raw.replace(b"\0", b" ").decode(errors="replace").strip()
    listing = subprocess.run(
        ["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return listing.stdout.strip()
