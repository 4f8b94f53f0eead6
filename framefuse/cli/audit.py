"""`framefuse audit`: whether every published frame has exactly one outcome, from the topics alone."""

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from framefuse.cli.options import AsJson, Bootstrap, Prefix
from framefuse.terminal import printable

if TYPE_CHECKING:
    from datetime import timedelta

    from framefuse.audit.books import Books
    from framefuse.audit.offences import Offender
    from framefuse.settings import KafkaSettings

EXIT_UNBALANCED = 1
_STORE = "object-store"
_SHOW_PROGRESS_AFTER = 5_000

StreamOption = Annotated[str | None, typer.Option("--stream", help="Only the frames of this stream.")]
Since = Annotated[
    str | None,
    typer.Option("--since", metavar="MOMENT", help="Only frames since 10m, 2h, 1d or 2026-03-01T12:00."),
]
Store = Annotated[
    str | None,
    typer.Option(
        "--store", metavar="URL", help="Compare the results kept there, too: a folder, s3://, gs://, az://."
    ),
]


def audit(
    *,
    stream: StreamOption = None,
    since: Since = None,
    store: Store = None,
    as_json: AsJson = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Check the books: every published frame has exactly one outcome, in order, or is still in flight.

    Exit status 0 when they balance; 1 when a frame is missing, has two outcomes, came out of order, went on
    without a half that is there, or is another one in the store, and when the store does not keep up: it
    lacks a result that is older than 5 minutes and FRAMEFUSE_OBJECT_STORE_MAX_WAIT_S. Frames in flight are
    allowed and shown (what retention removed unread ends as lost with the next frame of its partition), and
    so are halves of live frames that came too late. It may run beside the pipeline, and counts from the first
    frame that both topics can tell of (retention).

    [cyan]framefuse audit[/cyan]

    [cyan]framefuse audit --stream gate --json | jq .missing[/cyan]

    [cyan]framefuse audit --since 2h --store s3://bucket/results[/cyan]
    """
    from datetime import UTC, datetime

    from framefuse import plugins
    from framefuse.audit.stored import WITHIN
    from framefuse.audit.topics import Scope
    from framefuse.audit.topics import audit as read_books
    from framefuse.cli.bars import reading_bar
    from framefuse.cli.moments import moment
    from framefuse.settings import KafkaSettings, load

    kafka = load(KafkaSettings, bootstrap=bootstrap, prefix=prefix)
    scope = Scope(
        stream,
        moment(since, datetime.now(UTC)) if since else None,
        plugins.load_stored_rows(_STORE)(store) if store else None,
        _patience() if store else WITHIN,
    )
    with reading_bar("outcomes", more_than=_SHOW_PROGRESS_AFTER) as progress:
        books = read_books(kafka, scope, progress=progress)
    if stream is not None and not books.ledger.published:
        _check_known(stream, kafka)
    if as_json:
        print(json.dumps(_as_dict(books, kafka, stream)))
    else:
        _show(Console(highlight=False), books, kafka, stream, since)
        _show_overdue(Console(highlight=False), books)
    if not books.balanced or (books.stored and books.stored.overdue):
        raise typer.Exit(EXIT_UNBALANCED)


def _check_known(stream: str, kafka: "KafkaSettings") -> None:
    """Of a stream without any frame: refuse to call its books balanced where nobody has ever told of it.

    Raises:
        BadInput: no such stream is declared, or was ever published.
    """
    from difflib import get_close_matches

    from framefuse.errors import BadInput
    from framefuse.streams.reading import rows

    there = [row.stream_id for row in rows(kafka, every=True)]
    if stream in there:
        return
    near = get_close_matches(stream, there, n=1)
    named = f"the streams here: {', '.join(there[:8])}{', …' if len(there) > 8 else ''}"
    hint = f"did you mean {near[0]}?" if near else named if there else "no publisher came yet"
    raise BadInput(f"no stream {stream} was ever published or declared under {kafka.prefix}: {hint}")


def _patience() -> "timedelta":
    """How long a result may be on its way into the store, by the settings of its stage here."""
    from datetime import timedelta

    from framefuse import plugins
    from framefuse.audit.stored import WITHIN
    from framefuse.settings import load

    stage = plugins.load_stage(_STORE)
    return WITHIN + timedelta(seconds=stage.batch(load(stage.settings)).max_wait_s)


def _show_overdue(console: Console, books: "Books") -> None:
    from framefuse.cli.dashboard import duration

    stored = books.stored
    if stored is None or not stored.overdue:
        return
    age = duration(stored.oldest_age.total_seconds() * 1000)
    expected = duration(stored.patience.total_seconds() * 1000)
    console.print(
        f"[bold red]The store does not keep up:[/bold red] it lacks a result that is {age} old, expected at "
        f"most {expected}: does 'framefuse run {_STORE}' run, has the store room? 'framefuse doctor' looks"
    )


def _show(
    console: Console, books: "Books", kafka: "KafkaSettings", stream: str | None, since: str | None
) -> None:
    of = escape(stream or kafka.prefix)
    console.print(f"[bold]{of}[/bold]  [dim]{_horizon_in_words(books.horizons, since)}[/dim]")
    table = Table(box=None, show_header=False, padding=(0, 2))
    table.add_column(justify="left")
    table.add_column(justify="right")
    for name, count, style in _lines(books, stream):
        table.add_row(name, f"{count:,}", style=style)
    console.print(table)
    _show_removed(console, books)
    if stream is not None and not books.ledger.published:
        console.print(f"[yellow]No frame of a stream {escape(stream)} is in the topics.[/yellow]")
    elif books.balanced:
        console.print("[green]The books balance:[/green] every frame not in flight has exactly one outcome.")
    if not books.balanced:
        console.print("[bold red]The books do not balance.[/bold red]")
        console.print(_offenders_table(books, kafka))


def _lines(books: "Books", stream: str | None) -> Iterator[tuple[str, int, str]]:
    """Name, figure and style of each line of the ledger."""
    for name, count in books.ledger.counts().items():
        yield name.replace("_", " "), count, "bold" if name == "published" else ""
    of_any = "" if stream is None else ", of any stream"
    for name, count in {
        f"removed in flight{of_any}": books.in_flight_removed,
        "lost or unreadable, of any stream": books.unattributed,
        "halves too late": books.late,
    }.items():
        if count:
            yield name, count, "yellow"
    if books.stored:
        yield "rows in the store, with replays", books.stored.stored, ""
        yield "rows not yet in the store", books.stored.pending, ""
    for offence, count in books.offences.items():
        if count:
            yield offence.value, count, "bold red"


def _show_removed(console: Console, books: "Books") -> None:
    if books.in_flight_removed:
        console.print(
            f"[yellow]Retention removed {books.in_flight_removed:,} frames without outcome:[/yellow] "
            "what no stage had read ends as lost, once there is a later frame in the partition."
        )


def _offenders_table(books: "Books", kafka: "KafkaSettings") -> Table:
    table = Table("first offenders", "stream", "sequence", "what", box=None, header_style="dim")
    for offender in books.offenders:
        sequence = "" if offender.sequence is None else str(offender.sequence)
        stream = Text(printable(offender.stream_id or ""))  # whoever may write `frames` chose it
        table.add_row(_place(offender, kafka), stream, sequence, offender.offence.value)
    rest = sum(books.offences.values()) - len(books.offenders)
    if rest:
        table.add_row(f"… and {rest:,} more", "", "", "")
    return table


def _place(offender: "Offender", kafka: "KafkaSettings") -> str:
    """The frame as topic-partition@offset; of an unreadable record, itself."""
    from framefuse.audit.offences import Offence
    from schemas.topics import FRAMES, FUSED

    topic = (FUSED if offender.offence is Offence.UNREADABLE else FRAMES).name(kafka.prefix)
    return f"{topic}-{offender.place.partition}@{offender.place.offset}"


def _horizon_in_words(horizons: Mapping[int, int], since: str | None) -> str:
    later = [f"partition {number} from {first:,}" for number, first in horizons.items() if first]
    if not later:
        return "all frames ever published"
    why = f"since {since}" if since else "without what retention removed"
    return f"{why}: {', '.join(later)}"


def _as_dict(books: "Books", kafka: "KafkaSettings", stream: str | None) -> dict[str, object]:
    from framefuse.audit.offences import Offence

    stored = books.stored
    return {
        "balanced": books.balanced,
        "stream_id": stream,
        **books.ledger.counts(),
        "in_flight_removed": books.in_flight_removed,
        "late": books.late,
        "unattributed": books.unattributed,
        "stored": stored.stored if stored else None,
        "not_yet_stored": stored.pending if stored else None,
        "oldest_not_yet_stored": stored.oldest_pending.isoformat()
        if stored and stored.oldest_pending
        else None,
        "store_overdue": stored.overdue if stored else None,
        **{offence.name.lower(): books.offences[offence] for offence in Offence},
        "horizon": {str(number): first for number, first in books.horizons.items()},
        "offenders": [
            {
                "offence": offender.offence.name.lower(),
                "place": _place(offender, kafka),
                "fused_offset": offender.fused_offset,
                "stream_id": offender.stream_id,
                "sequence": offender.sequence,
            }
            for offender in books.offenders
        ],
    }
