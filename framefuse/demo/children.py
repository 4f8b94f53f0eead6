"""The commands that the demo runs as processes of their own, as a user would in several terminals."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from framefuse.errors import Stop

_STOP_PATIENCE_S = 20.0


@dataclass(frozen=True, slots=True)
class Child:
    """One running `framefuse …` command."""

    command: str
    process: "subprocess.Popen[bytes]"
    log: Path


class Children:
    """Starts commands, notices when one dies, stops them all; use as a context manager."""

    def __init__(self, logs: Path, environment: Mapping[str, str]) -> None:
        self._logs = logs
        self._environment = {**os.environ, **environment}
        self._running: list[Child] = []
        logs.mkdir(parents=True, exist_ok=True)

    def start(self, name: str, arguments: Sequence[str]) -> Child:
        """Run `framefuse ARGUMENTS`, its output in `NAME.log`."""
        log = self._logs / f"{name}.log"
        with log.open("wb") as out:
            # A group of its own: Ctrl-C reaches the demo alone, which then stops its children in order.
            process = subprocess.Popen(
                [sys.executable, "-m", "framefuse", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,
            )
        child = Child(f"framefuse {' '.join(arguments)}", process, log)
        self._running.append(child)
        return child

    def check(self) -> None:
        """Notice what ended in failure.

        Raises:
            Stop: with the end of its log.
        """
        for child in self._running:
            if child.process.poll() not in (None, 0):
                tail = "\n".join(child.log.read_text(errors="replace").splitlines()[-8:])
                raise Stop(f"'{child.command}' ended with {child.process.returncode}; its log says:\n{tail}")

    def stop(self) -> None:
        """Ask all to drain and leave, and wait; what does not is killed."""
        for child in self._running:
            if child.process.poll() is None:
                child.process.send_signal(signal.SIGTERM)
        give_up_s = time.monotonic() + _STOP_PATIENCE_S
        for child in self._running:
            try:
                child.process.wait(max(0.1, give_up_s - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()
        self._running.clear()

    def __enter__(self) -> "Children":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
