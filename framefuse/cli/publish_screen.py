"""The screen of `framefuse publish` while it publishes: a live table in a terminal, plain lines elsewhere.

All of it goes to stderr. What it says at the end is in `publish_view.py`.
"""

import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from framefuse.publishing.publication import Progress, Publication
from framefuse.terminal import watched
from schemas.records import Outcome, State

Outcomes = Mapping[str, Counter[Outcome]]
"""By run id."""
_LINE_EVERY_S = 5.0
_RATE_OVER_S = 5.0
_COLOURS = {
    State.STARTING: "dim",
    State.RUNNING: "green",
    State.STALLED: "yellow",
    State.RECONNECTING: "yellow",
    State.ENDED: "dim",
}


class Screen:
    """Shows a publication as it goes; a context manager."""

    def __init__(self, console: Console) -> None:
        self._console, self._drawn = console, watched(console)
        self._live = Live(console=console, transient=True, refresh_per_second=10)
        self._said: dict[str, str] = {}
        self._rates: dict[str, RecentRate] = {}
        self._line_at_s = time.monotonic() + _LINE_EVERY_S

    def show(self, publication: Publication, outcomes: Outcomes | None = None) -> None:
        """Bring it up to date."""
        for notice in publication.notices():
            self.say(notice.stream_id, notice.text, style="red" if notice.grave else "dim")
        progress, now_s = publication.progress(), time.monotonic()
        self._say_once("broker", publication.trouble or "")
        for stream in progress:
            self._say_once(stream.stream_id, "" if stream.ended or stream.trouble else stream.waiting_for)
            rate = self._rates.setdefault(stream.run_id, RecentRate(now_s - stream.elapsed_s))
            rate.note(now_s, stream.sums.published)
        if self._drawn:
            self._live.update(table(progress, self._per_s(now_s), outcomes))
        elif now_s >= self._line_at_s:
            self._line_at_s = now_s + _LINE_EVERY_S
            for stream, per_s in zip(progress, self._per_s(now_s), strict=True):
                if not stream.ended:
                    self.say(stream.stream_id, in_a_line(stream, per_s))

    def say(self, subject: str, text: str, *, style: str = "") -> None:
        """One line that stays."""
        self._console.print(
            Text.assemble((subject, "bold"), f": {text}", style=style),
            soft_wrap=not self._console.is_terminal,
        )

    def __enter__(self) -> "Screen":
        if self._drawn:
            self._live.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._live.stop()

    def _per_s(self, now_s: float) -> list[float]:
        return [rate.per_s(now_s) for rate in self._rates.values()]

    def _say_once(self, subject: str, reason: str) -> None:
        # The figures in a reason change; its words are what the user has read.
        words = "".join(letter for letter in reason if not letter.isdigit())
        before = self._said.get(subject, "")
        if words and words != before:
            self.say(subject, reason, style="yellow")
        if subject == "broker" and before and not words:
            self.say(subject, "answers again", style="dim")
        if words or subject == "broker":
            self._said[subject] = words


class RecentRate:
    """Frames a second over the last 5 s, or since the start where that is less. Pure: times are arguments."""

    def __init__(self, began_s: float) -> None:
        self._seen = deque([(began_s, 0)])

    def note(self, now_s: float, published: int) -> None:
        """So many have been published until now."""
        self._seen.append((now_s, published))
        while len(self._seen) > 1 and self._seen[1][0] <= now_s - _RATE_OVER_S:
            self._seen.popleft()

    def per_s(self, now_s: float) -> float:
        """The rate."""
        (since_s, before), (_, last) = self._seen[0], self._seen[-1]
        return (last - before) / (now_s - since_s) if now_s > since_s else 0.0


def table(progress: Sequence[Progress], per_s: Sequence[float], outcomes: Outcomes | None) -> Table:
    """All streams, a line each; what nobody has is left out."""
    dropped = any(stream.sums.dropped for stream in progress)
    found = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("stream", "state"):
        found.add_column(heading, no_wrap=True, overflow="ellipsis")
    numbers = ["frames", "per s", "in flight"]
    numbers += ["dropped"] * dropped + ["outcomes"] * (outcomes is not None)
    for heading in numbers:
        found.add_column(heading, justify="right", no_wrap=True)
    for stream, rate in zip(progress, per_s, strict=True):
        sums = stream.sums
        cells = [str(sums.published), "" if stream.ended else f"{rate:.1f}", str(sums.handed)]
        cells += [str(sums.dropped)] * dropped
        if outcomes is not None:
            cells.append(str(outcomes.get(stream.run_id, Counter()).total()))
        found.add_row(stream.stream_id, _state(stream), *cells)
    return found


def in_a_line(stream: Progress, per_s: float) -> str:
    """How a stream stands, for a log."""
    dropped = f", {stream.sums.dropped} dropped" if stream.sums.dropped else ""
    return f"{_state(stream).plain}, {stream.sums.published} frames, {per_s:.1f}/s{dropped}"


def _state(stream: Progress) -> Text:
    if stream.ended:
        return Text("incomplete" if stream.damaged else "done", style="red" if stream.damaged else "dim")
    if stream.trouble:
        return Text("no broker", style="red")
    if stream.waiting_for:
        return Text("waits for workers", style="yellow")
    return Text(stream.state.value.lower(), style=_COLOURS[stream.state])
