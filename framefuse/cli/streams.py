"""`framefuse streams add|remove|apply|list`: what `framefuse run camera` publishes, and how it is."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from framefuse.cli.options import AsJson, Bootstrap, Prefix

if TYPE_CHECKING:
    from framefuse.streams.registry import Decide

_HELP = """The streams that 'framefuse run camera' publishes: declare them, and see how they are.

[cyan]framefuse streams add gate 'rtsp://viewer:${CAM_PASSWORD}@10.0.0.11/stream1' --fps 10[/cyan]

[cyan]framefuse streams list[/cyan]
"""
app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help=_HELP,
)

StreamId = Annotated[
    str | None, typer.Argument(metavar="ID", help="Of the stream: A-Z a-z 0-9 . _ -", show_default=False)
]
Url = Annotated[
    str | None,
    typer.Argument(
        metavar="URL",
        help="What 'framefuse publish' takes. Credentials as ${NAME} or ${file:/path}, "
        "in single quotes for the shell.",
        show_default=False,
    ),
]
Fps = Annotated[float | None, typer.Option(min=0.001, help="At most so many frames a second.")]
Freshness = Annotated[
    int | None,
    typer.Option(min=1, metavar="MS", help="A live frame older than this expires; 500 by default."),
]
Partition = Annotated[
    int | None, typer.Option(min=0, help="Partition of the frames; by stream id unless given.")
]
Live = Annotated[
    bool | None,
    typer.Option(
        "--live/--file",
        help="Live: in its own time, stale frames expire, what ends begins again. File: once, every frame "
        "counts. Files are files, all else is live, unless given.",
        show_default=False,
    ),
]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Streams as YAML: 'streams:', and for each 'id', 'url' and what is needed of fps, freshness, "
        "partition, live.",
        dir_okay=False,
    ),
]
Prune = Annotated[bool, typer.Option("--prune", help="Remove the streams that the file does not have.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")]


@app.command()
def add(
    stream_id: StreamId = None,
    url: Url = None,
    *,
    fps: Fps = None,
    freshness: Freshness = None,
    partition: Partition = None,
    live: Live = None,
    config: Config = None,
    as_json: AsJson = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Declare a stream, or change one: some publisher opens it within a second.

    [cyan]framefuse streams add gate 'rtsp://viewer:${GATE_PASSWORD}@10.0.0.11/stream1' --fps 10[/cyan]

    [cyan]framefuse streams add yard 'rtsp://viewer:${file:/run/secrets/yard}@10.0.0.12/live'[/cyan]

    [cyan]framefuse streams add tour /videos/tour.mp4 --live[/cyan]

    [cyan]framefuse streams add --config streams.yaml --json | jq .added[/cyan]

    A publisher resolves the references, so variable or file are on its host. A literal password is refused.
    """
    from framefuse.errors import BadInput
    from framefuse.streams.declaring import changes, declaration, read_config_file

    if config is not None:
        others = (stream_id, url, fps, freshness, partition, live)
        if any(value is not None for value in others):
            raise BadInput("--config has the streams: leave out ID, URL and the options of a single stream")
        wanted = read_config_file(config)
    elif stream_id is None or url is None:
        raise BadInput("expected ID and URL of a stream, or --config FILE")
    else:
        wanted = [
            declaration(stream_id, url, fps=fps, freshness_ms=freshness, partition=partition, live=live)
        ]
    _change(
        bootstrap, prefix, lambda there: changes(there, wanted, prune=False), name_left=False, as_json=as_json
    )


@app.command()
def apply(
    config: Annotated[Path, typer.Option("--config", metavar="FILE", help="As of 'add'.", dir_okay=False)],
    *,
    prune: Prune = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Make what is declared as a file has it; streams that it does not have stay, unless --prune.

    [cyan]framefuse streams apply --config streams.yaml --dry-run[/cyan]

    [cyan]framefuse streams apply --config streams.yaml --prune[/cyan]

    The file:

    [dim]streams:
      - id: gate
        url: rtsp://viewer:${GATE_PASSWORD}@10.0.0.11/stream1
        fps: 10
        freshness: 500
        partition: 3
      - id: tour
        url: /videos/tour.mp4
        live: true[/dim]
    """
    from framefuse.streams.declaring import changes, read_config_file

    wanted = read_config_file(config)
    _change(
        bootstrap, prefix, lambda there: changes(there, wanted, prune=prune), dry_run=dry_run, as_json=as_json
    )


@app.command()
def remove(
    stream_ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Of the streams.")],
    as_json: AsJson = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Declare streams no longer: their cameras are closed within a second. Their frames and results stay.

    [cyan]framefuse streams remove gate yard[/cyan]
    """
    from framefuse.streams.declaring import without

    _change(bootstrap, prefix, lambda there: without(there, stream_ids), as_json=as_json)


@app.command(name="list")
def list_streams(
    every: Annotated[
        bool, typer.Option("--all", help="Also what nobody declares any more and has ended.")
    ] = False,
    as_json: AsJson = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """What is declared, and how it is; also what 'framefuse publish' publishes now, without a declaration.

    Where 'framefuse run statistics' is at work: results a second, 95th percentile of the time from a frame's
    append to its outcome, and when the last one was made; with --json also what is seen, and how near.

    [cyan]framefuse streams list[/cyan]

    [cyan]framefuse streams list --json | jq -c '.[].statistics | [.stream_id, .nearest]'[/cyan]

    [cyan]framefuse streams list --json | jq '.[] | select(.state != "RUNNING")'[/cyan]
    """
    from framefuse.cli.bars import waiting_for
    from framefuse.cli.streams_view import print_json, show_rows
    from framefuse.settings import KafkaSettings, load
    from framefuse.streams.reading import rows

    with waiting_for("reading streams"):
        found = rows(load(KafkaSettings, bootstrap=bootstrap, prefix=prefix), every=every)
    if as_json:
        print_json(found)
    else:
        show_rows(Console(), found)


def _change(
    bootstrap: str | None,
    prefix: str | None,
    decide: "Decide",
    *,
    dry_run: bool = False,
    name_left: bool = True,
    as_json: bool = False,
) -> None:
    from framefuse.cli.streams_view import print_changes, show_changes
    from framefuse.settings import KafkaSettings, load
    from framefuse.streams.registry import StreamRegistry

    kafka = load(KafkaSettings, bootstrap=bootstrap, prefix=prefix)
    registry = StreamRegistry(kafka)
    there, made = registry.change(decide, dry_run=dry_run)
    if as_json:
        print_changes(made, dry_run=dry_run)
        return
    show_changes(Console(soft_wrap=True, highlight=False), there, made, dry_run=dry_run, name_left=name_left)
