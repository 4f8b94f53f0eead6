"""A bar for commands that read a long topic."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def reading_bar(what: str, *, more_than: int) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr, only in a terminal and only where there are more than this to read.

    Gives what to call with the number read and of how many.
    """
    columns = (TextColumn(f"reading {what}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None, visible=False)

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, visible=total > more_than)

        yield show
