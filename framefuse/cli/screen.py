"""Where `framefuse watch` shows results: on a live screen, or one line a result where it is piped.

What the screen says is in `dashboard.py`, what is known in `watching.py`.
"""

import time
from datetime import UTC, datetime
from typing import Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from framefuse.cli.dashboard import COLOUR, duration, render, why
from framefuse.results.plain import as_json
from framefuse.results.standing import StandingWatch
from framefuse.results.watching import Watch, latency_ms, objects_in_words
from framefuse.terminal import printable
from schemas.records import Fused

_REFRESH_EVERY_S = 0.25


def line(fused: Fused) -> Text:
    """A result in one line."""
    outcome = fused.outcome.value.lower().replace("_", " ")
    missing = printable(why(fused))
    return Text.assemble(
        f"{fused.fused_at.astimezone():%H:%M:%S} ",
        (printable(fused.stream_id), "bold"),
        f" #{fused.sequence} ",
        (outcome, COLOUR[fused.outcome]),
        f" {duration(latency_ms(fused))}  ",
        printable(objects_in_words(fused)) or ("" if missing else "no objects"),
        (f"  {missing}" if missing else "", "dim"),
    )


class View(Protocol):
    """Somewhere to show results."""

    def result(self, fused: Fused) -> None:
        """Show one."""

    def refresh(self) -> None:
        """Called some times a second, results or not."""


class Lines:
    """One line a result, for people."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def result(self, fused: Fused) -> None:
        """Print it."""
        self._console.print(line(fused))

    def refresh(self) -> None:
        """Each line is printed at once."""


class JsonLines:
    """One JSON object a result, for scripts."""

    def result(self, fused: Fused) -> None:
        """Print it."""
        print(as_json(fused), flush=True)

    def refresh(self) -> None:
        """Each line is printed at once."""


class Screen:
    """The live table; a context manager."""

    def __init__(self, console: Console, watch: Watch, standing: StandingWatch, title: str) -> None:
        self._console, self._watch, self._standing, self._title = console, watch, standing, title
        self._live = Live(console=console, auto_refresh=False, vertical_overflow="crop")
        self._began_s = time.monotonic()
        self._shown_s = 0.0

    def result(self, fused: Fused) -> None:
        """It is in what the next refresh shows."""

    def refresh(self) -> None:
        """Show what is known now, unless that was done a moment ago."""
        now_s = time.monotonic()
        if now_s - self._shown_s >= _REFRESH_EVERY_S:
            self._show(now_s)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._show(time.monotonic())
        self._live.stop()

    def _show(self, now_s: float) -> None:
        self._shown_s = now_s
        height = self._console.size.height
        shown = render(self._watch, self._standing.latest, datetime.now(UTC), height=height)
        running = f"  {_clock(now_s - self._began_s)} · Ctrl-C ends"
        title = Text.assemble((self._title, "bold"), (running, "dim"))
        self._live.update(Group(title, Text(), shown), refresh=True)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest:02}"
