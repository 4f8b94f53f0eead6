"""The commands that documents show, and how to run them as a reader would, from top to bottom.

A fence of `sh` is run line by line, one of `python` as a script. A line before the fence may say otherwise:
`<!-- not run: reason -->`, or `<!-- needs: program -->` for what runs only where that program is installed.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

ROOT = Path(__file__).parents[2]
DOCUMENTS = tuple(
    sorted(
        path.relative_to(ROOT).as_posix()
        for pattern in ("*.md", "docs/**/*.md", "examples/**/*.md", "k8s/*.md", "monitoring/*.md")
        for path in ROOT.glob(pattern)
    )
)
JOURNEYS = (("docs/how-to/publish.md", "docs/how-to/subscribe.md", "docs/how-to/scale.md"),)
"""Documents that begin where another one ended, and say so."""
_FENCE = re.compile(
    r"(?:^<!-- (?P<note>not run|needs): (?P<what>[^>]+) -->\n)?^```(?P<kind>sh|python)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_ENDLESS = re.compile(r"framefuse (run|watch)\b(?!.*--limit)")
_INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Block:
    """One fence: what it holds, and what stands before it."""

    kind: str
    text: str
    not_run: str | None
    needs: str | None

    @property
    def runs(self) -> bool:
        """Whether it can be run here."""
        return self.not_run is None and (self.needs is None or shutil.which(self.needs) is not None)

    @property
    def commands(self) -> list[str]:
        """Its lines, continued ones as one."""
        joined = self.text.replace("\\\n", " ")
        return [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]


def blocks(document: str) -> list[Block]:
    """The fences of a document, in order."""
    return [
        Block(
            found["kind"],
            found["text"],
            found["what"] if found["note"] == "not run" else None,
            found["what"] if found["note"] == "needs" else None,
        )
        for found in _FENCE.finditer((ROOT / document).read_text(encoding="utf-8"))
    ]


class Reader:
    """Somebody who types what is written, in a folder; commands without an end go on beside the others."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("FRAMEFUSE_")}
        self._environment = {**kept, "PATH": path, **environment}
        self._beside: dict[str, subprocess.Popen[bytes]] = {}

    def follow(self, block: Block) -> None:
        """Run a block; `localhost:9092` stands for wherever the broker runs.

        Raises:
            AssertionError: a command failed, with what it said.
        """
        if block.kind == "python":
            self.run([sys.executable, "-c", block.text])
            return
        for command in block.commands:
            if _ENDLESS.match(command):
                self._start(command)
            else:
                self.run(["bash", "-ec", self._addressed(command)])

    def run(self, command: list[str]) -> str:
        """Run one command to its end; what it wrote to stdout."""
        done = subprocess.run(
            command, cwd=self._folder, env=self._environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command[-1]}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        return done.stdout

    def leave(self) -> None:
        """Press Ctrl-C everywhere; what ran beside must have run until now and end well."""
        ended = {command: process.poll() for command, process in self._beside.items()}
        for process in self._beside.values():
            process.send_signal(signal.SIGINT)
        codes = {command: process.wait(60) for command, process in self._beside.items()}
        assert set(ended.values()) <= {None}, ended
        for command, code in codes.items():
            assert code == (_INTERRUPTED if " watch" in command else 0), f"{command}: {self._log(command)}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        for process in self._beside.values():
            process.kill()
            process.wait()

    def _addressed(self, command: str) -> str:
        if "localhost:9092" not in command:
            return command
        status = json.loads(self.run(["framefuse", "broker", "status", "--json"]))
        return command.replace("localhost:9092", status["bootstrap"])

    def _start(self, command: str) -> None:
        with self._path(command).open("wb") as log:
            self._beside[command] = subprocess.Popen(
                ["bash", "-c", f"exec {command}"],
                cwd=self._folder,
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _log(self, command: str) -> str:
        return self._path(command).read_text(errors="replace")[-2000:]

    def _path(self, command: str) -> Path:
        return self._folder / f"{re.sub('[^a-z0-9]+', '-', command)}.log"
