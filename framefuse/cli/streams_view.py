"""What `framefuse streams` shows."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from framefuse.cli.dashboard import duration
from framefuse.results.stream_statistics import STALE_AFTER, as_plain, stale
from framefuse.streams.credentials import masked
from framefuse.streams.declaring import Changes, differences
from framefuse.streams.reading import Row
from framefuse.terminal import printable
from schemas.records import State, Stream
from schemas.statistics import Statistics

_STYLES = {State.RUNNING: "green", State.ENDED: "dim"}
_STREAM_WIDTH = 8
_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def show_changes(
    console: Console, before: Mapping[str, Stream], made: Changes, *, dry_run: bool, name_left: bool
) -> None:
    """One line a change, then the sum."""
    for stream in made.added:
        console.print(
            Text.assemble(("+ ", "green"), (printable(stream.stream_id), "bold"), f"  {_in_words(stream)}")
        )
    for stream in made.changed:
        lines = [
            f"{name} {_value(name, old)} → {_value(name, new)}"
            for name, old, new in differences(before[stream.stream_id], stream)
        ]
        words = printable(", ".join(lines))
        console.print(Text.assemble(("~ ", "yellow"), (printable(stream.stream_id), "bold"), f"  {words}"))
    for stream_id in made.removed:
        console.print(Text.assemble(("- ", "red"), (printable(stream_id), "bold")))
    if made.left and name_left:
        names = ", ".join(made.left[:5]) + (", …" if len(made.left) > 5 else "")
        console.print(
            Text(f"not in the file and left: {printable(names)} (--prune removes them)", style="yellow")
        )
    parts = [
        f"{len(which)} {word}"
        for which, word in ((made.added, "added"), (made.changed, "changed"), (made.removed, "removed"))
        if which
    ]
    parts += [f"{len(made.unchanged)} as before"] if made.unchanged else []
    console.print(("Would be: " if dry_run else "") + (", ".join(parts) or "nothing to do") + ".")


def print_changes(made: Changes, *, dry_run: bool) -> None:
    """The same for scripts: ids of streams by what became of their declarations."""
    found = {
        "dry_run": dry_run,
        "added": [stream.stream_id for stream in made.added],
        "changed": [stream.stream_id for stream in made.changed],
        "removed": list(made.removed),
        "left": list(made.left),
        "unchanged": list(made.unchanged),
    }
    print(json.dumps(found))


def show_rows(console: Console, rows: Sequence[Row]) -> None:
    """A table of streams."""
    if not rows:
        console.print("No stream is declared: framefuse streams add ID URL")
        return
    now = datetime.now(UTC)
    with_statistics = any(row.statistics for row in rows)
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("stream", overflow="fold", min_width=_STREAM_WIDTH)
    table.add_column("state", no_wrap=True)
    for heading in ("frames", *(("per s", "p95", "last") if with_statistics else ("reported",))):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("source", overflow="fold", ratio=1)
    for row in rows:
        lately = _lately(row.statistics, now) if with_statistics else (_reported(row, now),)
        table.add_row(Text(printable(row.stream_id), "bold"), *_how_it_is(row), *lately, _source(row))
    console.print(table)
    silent = [row.statistics.updated_at for row in rows if row.statistics and _silent(row, now)]
    if silent:
        age = _age((now - max(silent)).total_seconds())
        console.print(
            f"The last that was told of a running stream is of {age}: 'framefuse watch' shows which stage is "
            "behind, or missing.",
            style="yellow",
        )
    if any(row.declared and not row.reported for row in rows):
        console.print("What no publisher has reported yet waits for 'framefuse run camera'.", style="dim")


def print_json(rows: Sequence[Row]) -> None:
    """The same for scripts, a list."""
    print(json.dumps([_as_json(row) for row in rows], indent=2))


def _how_it_is(row: Row) -> tuple[Text, str]:
    if row.reported is None:
        return Text("not published", "yellow"), ""
    state = row.reported.state
    return Text(state.state.value.lower(), _STYLES.get(state.state, "yellow")), f"{state.published:,}"


def _reported(row: Row, now: datetime) -> str:
    return "" if row.reported is None else _age((now - row.reported.at).total_seconds())


def _silent(row: Row, now: datetime) -> bool:
    """Whether frames go in, and nothing has been told for long of what comes out."""
    told, reported = row.statistics, row.reported
    running = reported is not None and reported.state.state is State.RUNNING
    return told is not None and running and now - told.updated_at > STALE_AFTER


def _lately(told: Statistics | None, now: datetime) -> tuple[str, str, str]:
    """Results a second, their latency, and when the last one was made."""
    if told is None:
        return "", "", ""
    last = _age((now - told.last.fused_at).total_seconds())
    if stale(told, now):
        return "–", "–", last
    return f"{0 if told.quiet else told.frames_per_s:.1f}", duration(told.latency_p95_ms), last


def _source(row: Row) -> Text:
    text = Text(_in_words(row.declared)) if row.declared else Text("not declared", "dim")
    if row.reported is not None and row.reported.state.ended:
        text.append(f"\n{printable(row.reported.state.ended)}", "yellow" if row.declared else "dim")
    return text


def _in_words(stream: Stream) -> str:
    named = {
        "fps": f"{stream.fps:g} fps" if stream.fps else "",
        "freshness": f"{stream.freshness_ms} ms" if stream.freshness_ms else "",
        "partition": f"partition {stream.partition}" if stream.partition is not None else "",
        "live": "" if stream.live else "file",
    }
    return printable(", ".join(filter(None, [masked(stream.source), *named.values()])))


def _value(name: str, value: object) -> str:
    return masked(str(value)) if name == "source" else "none" if value is None else str(value).lower()


def _age(seconds: float) -> str:
    for unit_s, unit in _UNITS:
        if seconds >= 2 * unit_s:
            return f"{seconds / unit_s:.0f} {unit} ago"
    return "now"


def _as_json(row: Row) -> dict[str, object]:
    declared, reported = row.declared, row.reported
    return {
        "stream_id": row.stream_id,
        "declared": None
        if declared is None
        else {
            "url": row.source,
            "live": declared.live,
            "fps": declared.fps,
            "freshness_ms": declared.freshness_ms,
            "partition": declared.partition,
        },
        "state": None if reported is None else reported.state.state.value,
        "reported_at": None if reported is None else reported.at.isoformat(),
        "run_id": None if reported is None else reported.state.run_id,
        "published": None if reported is None else reported.state.published,
        "dropped": None if reported is None else reported.state.dropped,
        "rejected": None if reported is None else reported.state.rejected,
        "last_sequence": None if reported is None else reported.state.last_sequence,
        "ended": None if reported is None else reported.state.ended,
        "statistics": None if row.statistics is None else as_plain(row.statistics),
    }
