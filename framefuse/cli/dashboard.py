"""What the screen of `framefuse watch` says, within 80 columns and the height of the terminal.

Streams, stages, the ledger, the last errors. Only renders: what is known is in `watching.py`, `standing.py`.
"""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import accumulate
from textwrap import wrap

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from framefuse.results.recent_errors import RecentError
from framefuse.results.standing import Standing
from framefuse.results.stream_statistics import seen_in_words
from framefuse.results.watching import StageLag, StreamWatch, Watch, objects_in_words
from framefuse.terminal import printable
from schemas.records import UNREADABLE, Fused, Outcome, State, StreamState
from schemas.statistics import Statistics

_STREAM_WIDTH = 16
_LEDGER_HEAD, _HARD_SPACE = "ledger  ", "\N{NO-BREAK SPACE}"
_LEAST_WIDTH = 20
_TROUBLE_WIDTH = 28
_TITLE_LINES, _STAGES_LINES, _LEDGER_LINES, _ERRORS_LINES = 2, 2, 2, 1
_MOST_ERRORS = 3
_NARROW = 80
"""Columns that the height of the ledger is reckoned with; a wider terminal may need a line less."""
_ENDED_LATELY = timedelta(minutes=5)
COLOUR = {
    Outcome.FUSED: "green",
    Outcome.PARTIAL: "yellow",
    Outcome.EXPIRED: "yellow",
    Outcome.DEAD_LETTER: "red",
    Outcome.LOST: "red",
}


def render(watch: Watch, standing: Standing, now: datetime, *, height: int) -> RenderableType:
    """The whole screen but its title.

    Args:
        watch: what has been seen.
        standing: what the broker says.
        now: the time.
        height: rows of the terminal; streams that do not fit are counted.
    """
    errors = standing.errors[:_MOST_ERRORS]
    ledger = watch.ledger(standing.frames)
    told = _Ledger(ledger.in_words())
    below = _LEDGER_LINES - 1 + len(told.lines(_NARROW)) + (_ERRORS_LINES + len(errors) if errors else 0)
    below += _STAGES_LINES + len(standing.stages) + (2 if standing.trouble else 0)
    parts: list[RenderableType] = []
    if standing.trouble:
        parts += [Text(printable(standing.trouble), style="bold red"), Text()]
    rows = _rows(watch, standing, now)
    parts.append(_streams(rows, height - _TITLE_LINES - below - 1) if rows else Text("no result yet", "dim"))
    if standing.stages:
        rate = watch.per_second(now)
        stages = _stages(standing.stages, watch, ledger.in_flight, rate, away=bool(standing.trouble))
        parts += [Text(), stages]
    if standing.frames:
        parts += [Text(), told]
    if errors:
        parts += [Text(), *(_Error(one, now) for one in errors)]
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


def why(fused: Fused) -> str:
    """What is missing, and for which reason."""
    return "; ".join(f"no {one.side.value.lower()} ({one.reason})" for one in fused.missing)


class _Row:
    """One stream: as it was seen here, as the stage `statistics` counts it, as its publisher says it is."""

    def __init__(
        self,
        stream_id: str,
        now: datetime,
        seen: StreamWatch | None,
        told: Statistics | None,
        state: StreamState | None,
    ) -> None:
        self.stream_id, self._now = stream_id, now
        self._seen, self._told, self._state = seen, told, state

    @property
    def lines(self) -> int:
        """Rows of the terminal."""
        return 1 + len(self._troubles())

    @property
    def coming(self) -> bool:
        """Whether results come."""
        here = self._seen is not None and self._seen.quiet(self._now) is None
        return here or (self._told is not None and not self._told.quiet)

    @property
    def style(self) -> str:
        """Dim when nothing comes."""
        return "" if self.coming else "dim"

    @property
    def place(self) -> tuple[bool, int, str]:
        """What lives comes first, then what should and does not, then what has ended."""
        ended = self._state is None or self._state.state is State.ENDED
        return self.stream_id == UNREADABLE, 0 if self.coming else 1 + ended, self.stream_id

    def cells(self) -> tuple[RenderableType, ...]:
        """Of the table."""
        per_second, p50_ms, p95_ms = self._rates()
        return (
            escape(printable(self.stream_id)),
            f"{self._seen.frames if self._seen else 0:,}",
            f"{per_second:.1f}",
            duration(p50_ms),
            duration(p95_ms),
            Group(self._last(), *self._troubles()),
        )

    def _rates(self) -> tuple[float, float | None, float | None]:
        """Frames a second, latency p50 and p95; counted here where no stage `statistics` does."""
        if self._told is not None:
            told = self._told
            return (0.0 if told.quiet else told.frames_per_s), told.latency_p50_ms, told.latency_p95_ms
        if self._seen is not None:
            return self._seen.per_second(self._now), self._seen.latency_ms(0.5), self._seen.latency_ms(0.95)
        return 0.0, None, None

    def _last(self) -> "_Fitting":
        """What the stream is, if it does not just run, and its last frame."""
        heads = []
        if self._state is not None and self._state.state is not State.RUNNING:
            heads.append(self._state.state.value.lower())
        last = self._seen.last if self._seen else None
        quiet = self._seen.quiet(self._now) if self._seen else None
        if quiet is not None:
            heads.append(f"{duration(quiet.total_seconds() * 1000)} ago")
        if last is not None:
            return _Fitting("  ".join([*heads, ""]), last)
        told = seen_in_words(self._told) if self._told else ""
        return _Fitting("  ".join([*heads, told]) if heads or told else "no result yet", None)

    def _troubles(self) -> list[Text]:
        """A line for what did not become a whole result, and for what never was sent, where there was any."""
        words = [
            (f"{count:,} {outcome.value.lower().replace('_', ' ')}", COLOUR[outcome])
            for outcome, count in (self._seen.outcomes if self._seen else {}).items()
            if outcome is not Outcome.FUSED
        ]
        if self._state is not None:
            for name in ("dropped", "rejected"):
                count = getattr(self._state, name)
                words += [(f"{count:,} {name}", "yellow")] if count else []
        lines = _in_lines([Text(*word) for word in words])
        if self._state is not None and self._state.state is State.RECONNECTING and self._state.ended:
            lines.append(Text(printable(self._state.ended), "yellow", no_wrap=True, overflow="ellipsis"))
        return lines


def _in_lines(words: Sequence[Text]) -> list[Text]:
    """These words with commas between, on as many lines as they need, broken between words only."""
    lines: list[Text] = []
    for word in words:
        if lines and len(lines[-1]) + len(word) + 2 <= _TROUBLE_WIDTH:
            lines[-1] = Text(", ").join([lines[-1], word])
        else:
            lines.append(word)
    for line in lines:
        line.no_wrap, line.overflow = True, "ellipsis"
    return lines


def _rows(watch: Watch, standing: Standing, now: datetime) -> list[_Row]:
    """Streams that gave a result, that live, or that ended just now; what nobody could read comes last."""
    names = set(watch.streams) | {name for name, told in standing.statistics.items() if not told.quiet}
    names |= {
        name
        for name, state in standing.states.items()
        if state.state is not State.ENDED or now - state.updated_at < _ENDED_LATELY
    }
    rows = [
        _Row(name, now, watch.streams.get(name), standing.statistics.get(name), standing.states.get(name))
        for name in names
        if watch.shows(name)
    ]
    return sorted(rows, key=lambda row: row.place)


def _streams(rows: Sequence[_Row], lines: int) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("stream", max_width=_STREAM_WIDTH, no_wrap=True)
    for heading in ("frames", "per s", "p50", "p95"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("last frame")
    fit = _fitting(rows, max(3, lines))
    for row in rows[:fit]:
        table.add_row(*row.cells(), style=row.style)
    if len(rows) > fit:
        table.add_row(f"… {len(rows) - fit} more", style="dim")
    return table


def _fitting(rows: Sequence[_Row], lines: int) -> int:
    """How many rows fit into so many lines, the one that counts the others included."""
    ends = list(accumulate(row.lines for row in rows))
    if not ends or ends[-1] <= lines:
        return len(rows)
    return sum(end < lines for end in ends)


class _Fitting:
    """As much of the last result as the column has room for."""

    def __init__(self, head: str, fused: Fused | None) -> None:
        self._head, self._fused = printable(head), fused

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        longest = len(self._text(None))
        return Measurement(min(_LEAST_WIDTH, longest), min(longest, options.max_width))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        text = Text(self._text(options.max_width))
        text.truncate(options.max_width, overflow="ellipsis")
        yield text

    def _text(self, width: int | None) -> str:
        if self._fused is None:
            return self._head
        room = None if width is None else width - len(self._head)
        return self._head + printable(
            objects_in_words(self._fused, width=room) or why(self._fused) or "no objects"
        )


class _Ledger:
    """The ledger, broken between its terms and never within one."""

    def __init__(self, words: str) -> None:
        self._words = words

    def lines(self, width: int) -> list[str]:
        """As it fits this many columns."""
        whole = re.sub(r"(?<=[^+=]) (?=[^+=])", _HARD_SPACE, self._words)
        return wrap(whole, max(_LEAST_WIDTH, width - len(_LEDGER_HEAD))) or [""]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        first, *rest = self.lines(options.max_width)
        yield Text.assemble((_LEDGER_HEAD, "dim"), first.replace(_HARD_SPACE, " "))
        for line in rest:
            yield Text(" " * len(_LEDGER_HEAD) + line.replace(_HARD_SPACE, " "))


def _stages(
    stages: Sequence[StageLag], watch: Watch, in_flight: int, outcomes_per_s: float, *, away: bool = False
) -> Table:
    """A row a stage; dashes where the broker is away, for what was seen last is of then."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("stage", min_width=_STREAM_WIDTH)
    table.add_column("workers", justify="right")
    table.add_column("behind", justify="right", min_width=7)
    table.add_column("per s", justify="right", min_width=6)
    table.add_column("")
    for stage in stages:
        if away:
            table.add_row(escape(stage.stage), "–", "–", "–", "", style="dim")
            continue
        behind = watch.behind(stage, in_flight)
        note, style = _health(stage, behind)
        # Of a stage that merges, offsets say little: it gives the outcomes.
        per_second = outcomes_per_s if stage.per_second is None and stage.before_outcome else stage.per_second
        table.add_row(
            escape(stage.stage),
            str(stage.workers or "–"),
            "–" if behind is None else f"{behind:,}",
            "" if per_second is None else f"{per_second:.1f}",
            note,
            style=style,
        )
    return table


def _health(stage: StageLag, behind: int | None) -> tuple[str, str]:
    """What to say beside a stage, and its colour."""
    if stage.beyond_the_end:
        return "log is new: framefuse topics mend", "red"
    if not stage.workers:
        return f"framefuse run {stage.stage}", "yellow" if behind else "dim"
    if not stage.settled:
        return "sharing out its partitions", "yellow"
    if stage.does_not_move:
        return f"does not move ({duration(stage.still_s * 1000)}): see its log", "red"
    return "", ""


class _Error:
    """One of the last errors, on one line."""

    def __init__(self, error: RecentError, now: datetime) -> None:
        self._error, self._now = error, now

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        one = self._error
        times = f" ×{one.count:,}" if one.count > 1 else ""
        old = self._now - one.at > timedelta(minutes=1)
        text = Text.assemble(
            (f"{one.at.astimezone():%H:%M:%S} ", "dim"),
            (printable(f"{one.stage} {one.error}{times}"), "dim" if old else "red"),
            (printable(f" {one.stream_id}: {' '.join(one.message.split())}"), "dim" if old else ""),
        )
        text.truncate(options.max_width, overflow="ellipsis")
        text.no_wrap = True
        yield text
