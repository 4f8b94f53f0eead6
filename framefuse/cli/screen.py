"""What `framefuse watch` shows: a live table that fits 80 columns, or one line a result where it is piped.

Only renders: what is known is in `watching.py`.
"""

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from framefuse.ledger import Ledger
from framefuse.result_json import as_json
from framefuse.standing import Standing, StandingWatch
from framefuse.watching import StageLag, StreamWatch, Watch, latency_ms, objects_in_words
from schemas.records import Fused, Outcome

_REFRESH_EVERY_S = 0.25
_NUMBERS_WIDTH = 38
_STREAM_WIDTH = 16
_ROWS_BELOW = 12
_COLOUR = {
    Outcome.FUSED: "green",
    Outcome.PARTIAL: "yellow",
    Outcome.EXPIRED: "yellow",
    Outcome.DEAD_LETTER: "red",
    Outcome.LOST: "red",
}


def line(fused: Fused) -> Text:
    """A result in one line."""
    outcome = fused.outcome.value.lower().replace("_", " ")
    why = _why(fused)
    return Text.assemble(
        f"{fused.fused_at.astimezone():%H:%M:%S} ",
        (fused.stream_id, "bold"),
        f" #{fused.sequence} ",
        (outcome, _COLOUR[fused.outcome]),
        f" {duration(latency_ms(fused))}  ",
        objects_in_words(fused) or ("" if why else "no objects"),
        (f"  {why}" if why else "", "dim"),
    )


def _why(fused: Fused) -> str:
    return "; ".join(f"no {one.side.value.lower()} ({one.reason})" for one in fused.missing)


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
        width, height = self._console.size
        now = datetime.now(UTC)
        shown = render(self._watch, self._standing.latest, now, width=width, height=height)
        running = f"  {_clock(now_s - self._began_s)} · Ctrl-C ends"
        title = Text.assemble((self._title, "bold"), (running, "dim"))
        self._live.update(Group(title, Text(), shown), refresh=True)


def render(watch: Watch, standing: Standing, now: datetime, *, width: int, height: int) -> RenderableType:
    """The whole table.

    Args:
        watch: what has been seen.
        standing: what the broker says.
        now: the time.
        width: columns of the terminal.
        height: its rows; streams that do not fit are counted.
    """
    parts: list[RenderableType] = []
    if watch.streams:
        parts.append(_streams(watch.by_name(), now, width, max(3, height - _ROWS_BELOW)))
    else:
        parts.append(Text("no result yet", style="dim"))
    if standing.stages:
        parts += [Text(), _stages(standing.stages)]
    if standing.frames:
        parts += [Text(), _ledger(watch.ledger(standing.frames))]
    if standing.trouble:
        parts.append(Text(standing.trouble, style="red"))
    return Group(*parts)


def duration(milliseconds: float | None) -> str:
    """At most seven letters: `85 ms`, `1.2 s`, `41 min`."""
    if milliseconds is None:
        return "–"
    if milliseconds < 1_000:
        return f"{milliseconds:.0f} ms"
    if milliseconds < 120_000:
        return f"{milliseconds / 1_000:.1f} s"
    if milliseconds < 7_200_000:
        return f"{milliseconds / 60_000:.0f} min"
    return f"{milliseconds / 3_600_000:.0f} h"


def _streams(streams: Sequence[StreamWatch], now: datetime, width: int, rows: int) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("stream", max_width=_STREAM_WIDTH, no_wrap=True)
    for heading in ("frames", "per s", "p50", "p95"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("last frame", no_wrap=True)
    room = width - _NUMBERS_WIDTH - min(_STREAM_WIDTH, max(len(stream.stream_id) for stream in streams))
    for stream in streams[:rows]:
        quiet = stream.quiet(now)
        table.add_row(
            escape(stream.stream_id),
            f"{stream.frames:,}",
            f"{stream.per_second(now):.1f}",
            duration(stream.latency_ms(0.5)),
            duration(stream.latency_ms(0.95)),
            Text("\n").join([_last_frame(stream, quiet, max(16, room)), *_not_fused(stream)]),
            style="dim" if quiet is not None else "",
        )
    if len(streams) > rows:
        table.add_row(f"… {len(streams) - rows} more", style="dim")
    return table


def _last_frame(stream: StreamWatch, quiet: timedelta | None, room: int) -> Text:
    if stream.last is None:
        return Text()
    ago = f"{duration(quiet.total_seconds() * 1000)} ago  " if quiet is not None else ""
    objects = objects_in_words(stream.last, width=room - len(ago))
    text = Text(ago + (objects or _why(stream.last) or "no objects"))
    text.truncate(room, overflow="ellipsis")
    return text


def _not_fused(stream: StreamWatch) -> list[Text]:
    """A line for what did not become a whole result, where there was any."""
    words = [
        (f"{count:,} {outcome.value.lower().replace('_', ' ')}", _COLOUR[outcome])
        for outcome, count in stream.outcomes.items()
        if outcome is not Outcome.FUSED
    ]
    return [Text(", ").join(Text(*word) for word in words)] if words else []


def _stages(stages: Sequence[StageLag]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("stage", min_width=16)
    table.add_column("workers", justify="right")
    table.add_column("behind", justify="right", min_width=7)
    table.add_column("")
    for stage in stages:
        hint = "" if stage.workers else f"framefuse run {stage.stage}"
        table.add_row(
            escape(stage.stage),
            str(stage.workers or "–"),
            "–" if stage.behind is None else f"{stage.behind:,}",
            hint,
            style="" if stage.workers else "yellow" if stage.behind else "dim",
        )
    return table


def _ledger(ledger: Ledger) -> Text:
    return Text.assemble(("ledger  ", "dim"), ledger.in_words())


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest:02}"
