"""What commands show while something takes longer than a second: on stderr, in a terminal, never in CI."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

from framefuse.terminal import watched

_SHOWN_AFTER_S = 0.6


@contextmanager
def reading_bar(what: str, *, more_than: int) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr, only in a terminal and only where there are more than this to read.

    Gives what to call with the number read and of how many.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(f"reading {what}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not watched(console)) as bar:
        task = bar.add_task(what, total=None, visible=False)

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, visible=total > more_than)

        yield show


@contextmanager
def waiting_for(doing: str, *, quiet: bool = False) -> Iterator[Callable[[str], None]]:
    """A spinner that appears after a moment; gives what to call with the name of what is waited for."""
    console = Console(stderr=True)
    began_s = time.monotonic()
    if quiet or not watched(console):
        yield lambda what: None
        return
    with _LateSpinner(console, doing, began_s) as spinner:
        yield spinner.name


class _LateSpinner:
    """Draws nothing for what is done in a moment."""

    def __init__(self, console: Console, doing: str, began_s: float) -> None:
        from threading import Event, Thread

        self._console, self._doing, self._what = console, doing, ""
        self._done = Event()
        self._thread = Thread(target=self._show, name="spinner", daemon=True)
        self._wait_s = max(0.0, began_s + _SHOWN_AFTER_S - time.monotonic())

    def name(self, what: str) -> None:
        """What is waited for now."""
        self._what = what

    def __enter__(self) -> "_LateSpinner":
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._done.set()
        self._thread.join()

    def _show(self) -> None:
        if self._done.wait(self._wait_s):
            return
        with self._console.status("") as status:
            while not self._done.wait(0.1):
                status.update(f"{self._doing} {self._what}".rstrip() + " …")
