"""Bars on stderr while a model is fetched or timed: in a terminal only."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TransferSpeedColumn,
)

from framefuse.terminal import watched
from processors.model_files.model import watched_by


@contextmanager
def fetching_bar() -> Iterator[None]:
    """A bar for each file that is fetched meanwhile; none for what is here already."""
    console = Console(stderr=True)
    columns = (
        TextColumn("fetching {task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not watched(console)) as bars:
        tasks: dict[str, TaskID] = {}

        def show(name: str, got: int, size: int | None) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=size)
            bars.update(tasks[name], completed=got)

        with watched_by(show):
            yield


@contextmanager
def timing_bar(runs: int) -> Iterator[Callable[[], None]]:
    """A bar of runs; gives what to call after each."""
    console = Console(stderr=True)
    columns = (TextColumn("timing"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True, disable=not watched(console)) as bar:
        task = bar.add_task("timing", total=runs)
        yield lambda: bar.advance(task)
