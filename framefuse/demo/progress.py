"""How far the demo is: counted from the broker, shown as bars, or as lines where nobody watches."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from framefuse.terminal import watched

_LINE_INTERVAL_S = 3.0


class Show(Protocol):
    """Shows counts by name, out of `total`."""

    def update(self, counts: Mapping[str, int], total: int) -> None:
        """Show these counts now."""


class _Bars:
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}
        self._begun_s: dict[str, float] = {}

    def update(self, counts: Mapping[str, int], total: int) -> None:
        ahead = total
        for name, count in counts.items():
            if name not in self._tasks:
                self._tasks[name] = self._progress.add_task(name, total=total, rate="", lag="")
            if count and name not in self._begun_s:
                self._begun_s[name] = time.monotonic()
            elapsed_s = time.monotonic() - self._begun_s.get(name, time.monotonic())
            if count < total or not self._progress.tasks[self._tasks[name]].finished:
                rate = f"{count / elapsed_s:5.1f} frames/s" if elapsed_s > 0.5 else ""
                lag = f"lag {max(0, ahead - count)}" if name != "published" else ""
                self._progress.update(self._tasks[name], completed=count, total=total, rate=rate, lag=lag)
            ahead = counts["published"]


class _Lines:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown_s = 0.0

    def update(self, counts: Mapping[str, int], total: int) -> None:
        done = all(count >= total for count in counts.values())
        if time.monotonic() - self._shown_s < _LINE_INTERVAL_S and not done:
            return
        self._shown_s = time.monotonic()
        self._console.print("  " + ", ".join(f"{name} {count}/{total}" for name, count in counts.items()))


@contextmanager
def showing(console: Console) -> Iterator[Show]:
    """Bars on a terminal, else a line every three seconds."""
    if not watched(console):
        yield _Lines(console)
        return
    columns = (
        TextColumn("  {task.description:<10}"),
        BarColumn(24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}", style="dim"),
        TextColumn("{task.fields[lag]}", style="dim"),
    )
    with Progress(*columns, console=console) as progress:
        yield _Bars(progress)
