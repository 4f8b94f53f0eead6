"""What `framefuse watch` shows: a live table that fits 80 columns, or one line a result where it is piped.

Only renders: what is known is in `watching.py`.
"""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import accumulate
from typing import Protocol, Self

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from framefuse.results.plain import as_json
from framefuse.results.standing import Standing, StandingWatch
from framefuse.results.watching import StageLag, StreamWatch, Watch, latency_ms, objects_in_words
from schemas.records import Fused, Outcome

_REFRESH_EVERY_S = 0.25
_STREAM_WIDTH = 16
_LEAST_WIDTH = 20
_OTHER_LINES = 10
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
        height = self._console.size.height
        shown = render(self._watch, self._standing.latest, datetime.now(UTC), height=height)
        running = f"  {_clock(now_s - self._began_s)} · Ctrl-C ends"
        title = Text.assemble((self._title, "bold"), (running, "dim"))
        self._live.update(Group(title, Text(), shown), refresh=True)


def render(watch: Watch, standing: Standing, now: datetime, *, height: int) -> RenderableType:
    """The whole table.

    Args:
        watch: what has been seen.
        standing: what the broker says.
        now: the time.
        height: rows of the terminal; streams that do not fit are counted.
    """
    parts: list[RenderableType] = [Text("no result yet", style="dim")]
    if watch.streams:
        parts = [_streams(watch.by_name(), now, height - _OTHER_LINES - len(standing.stages))]
    ledger = watch.ledger(standing.frames)
    if standing.stages:
        parts += [Text(), _stages(standing.stages, ledger.in_flight)]
    if standing.frames:
        parts += [Text(), Text.assemble(("ledger  ", "dim"), ledger.in_words())]
    if standing.trouble:
        parts.append(Text(standing.trouble, style="red"))
    return Group(*parts)


def duration(milliseconds: float | None) -> str:
    """At most seven letters: `85 ms`, `1.2 s`, `41 min`."""
    if milliseconds is None:
        return "–"
    if milliseconds < 1_000:
        return f"{milliseconds:.0f} ms"
    if milliseconds < 10_000:
        return f"{milliseconds / 1_000:.1f} s"
    if milliseconds < 120_000:
        return f"{milliseconds / 1_000:.0f} s"
    if milliseconds < 7_200_000:
        return f"{milliseconds / 60_000:.0f} min"
    return f"{milliseconds / 3_600_000:.0f} h"


def _streams(streams: Sequence[StreamWatch], now: datetime, lines: int) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("stream", max_width=_STREAM_WIDTH, no_wrap=True)
    for heading in ("frames", "per s", "p50", "p95"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("last frame")
    rows = _rows_within(streams, max(3, lines))
    for stream in streams[:rows]:
        quiet = stream.quiet(now)
        ago = f"{duration(quiet.total_seconds() * 1000)} ago  " if quiet is not None else ""
        last = [_LastFrame(stream.last, ago)] if stream.last else []
        table.add_row(
            escape(stream.stream_id),
            f"{stream.frames:,}",
            f"{stream.per_second(now):.1f}",
            duration(stream.latency_ms(0.5)),
            duration(stream.latency_ms(0.95)),
            Group(*last, *_not_fused(stream)),
            style="dim" if quiet is not None else "",
        )
    if len(streams) > rows:
        table.add_row(f"… {len(streams) - rows} more", style="dim")
    return table


def _rows_within(streams: Sequence[StreamWatch], lines: int) -> int:
    """How many streams fit into so many lines."""
    ends = accumulate(1 + len(_not_fused(stream)) for stream in streams)
    return sum(end <= lines for end in ends)


class _LastFrame:
    """As much of the last result as the column has room for."""

    def __init__(self, fused: Fused, ago: str) -> None:
        self._fused, self._ago = fused, ago

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        longest = len(self._text(None))
        return Measurement(min(_LEAST_WIDTH, longest), min(longest, options.max_width))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        text = Text(self._text(options.max_width))
        text.truncate(options.max_width, overflow="ellipsis")
        yield text

    def _text(self, width: int | None) -> str:
        room = None if width is None else width - len(self._ago)
        return self._ago + (objects_in_words(self._fused, width=room) or _why(self._fused) or "no objects")


def _not_fused(stream: StreamWatch) -> list[Text]:
    """A line for what did not become a whole result, where there was any."""
    words = [
        (f"{count:,} {outcome.value.lower().replace('_', ' ')}", _COLOUR[outcome])
        for outcome, count in stream.outcomes.items()
        if outcome is not Outcome.FUSED
    ]
    return [Text(", ").join(Text(*word) for word in words)] if words else []


def _stages(stages: Sequence[StageLag], in_flight: int) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("stage", min_width=_STREAM_WIDTH)
    table.add_column("workers", justify="right")
    table.add_column("behind", justify="right", min_width=7)
    table.add_column("")
    for stage in stages:
        behind = stage.behind
        if behind is not None and stage.before_outcome:
            # Offsets of topics written in transactions count their markers too.
            behind = min(behind, in_flight)
        table.add_row(
            escape(stage.stage),
            str(stage.workers or "–"),
            "–" if behind is None else f"{behind:,}",
            "" if stage.workers else f"framefuse run {stage.stage}",
            style="" if stage.workers else "yellow" if behind else "dim",
        )
    return table


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest:02}"
