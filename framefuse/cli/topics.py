"""`framefuse topics create|list`: the topics on the broker, as they should be and as they are."""

import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from framefuse.cli.acls import acls
from framefuse.cli.bars import waiting_for
from framefuse.cli.options import AsJson, Bootstrap, Prefix

if TYPE_CHECKING:
    from framefuse.kafka import TopicState

_HELP = """The topics of a pipeline.

[cyan]framefuse topics create --partitions 8[/cyan]

[cyan]framefuse topics list[/cyan]
"""
app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich", help=_HELP)
Partitions = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=10_000,
        help="Partitions of frames and of each topic with one record a frame; 4 by default.",
    ),
]
_PIPE_WIDTH = 1_000
"""Characters; a pipe has no width, and rich takes 80 for it."""
_PARTITIONS = 4
Replication = Annotated[int, typer.Option(min=1, help="Copies of each partition; 3 in production.")]


@app.command()
def create(
    partitions: Partitions = None,
    replication: Replication = 1,
    as_json: AsJson = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Create the topics that are missing, bring partition counts in line, say what is kept for how long.

    The partition count is the most workers that can share a stage; choose it for the load to come.

    [cyan]framefuse topics create[/cyan]

    [cyan]framefuse topics create --partitions 32 --replication 3 --bootstrap kafka:9092[/cyan]

    [cyan]framefuse topics create --json | jq .partitions[/cyan]
    """
    from framefuse.kafka import Admin
    from framefuse.kafka.schema_topic import SchemaTopic
    from framefuse.settings import KafkaSettings, load
    from schemas.topics import ALL

    kafka = load(KafkaSettings, bootstrap=bootstrap, prefix=prefix)
    admin, console = Admin(kafka), Console(soft_wrap=True)
    with waiting_for("creating topics"):
        created = admin.create_topics(ALL, partitions=partitions or _PARTITIONS, replication=replication)
        grown = admin.level_partitions()
        SchemaTopic(kafka)
        states = admin.topic_states([topic.name(kafka.prefix) for topic in ALL])
        there = admin.check_partitions()
    if as_json:
        found = {"partitions": there, "created": created, "grown": grown, "topics": _as_dicts(states)}
        print(json.dumps(found))
        return
    console.print(f"{len(created)} topics created, {len(ALL) - len(created)} were there.")
    for name, count in grown.items():
        console.print(f"{name} has grown to {count} partitions, as many as the others; workers see it soon.")
    _show(console, kafka.prefix, states)
    if partitions not in (None, there):
        console.print(f"[yellow]left at {there} partitions[/yellow], not {partitions}: the topics were there")


@app.command()
def grow(
    partitions: Annotated[
        int, typer.Option(min=2, max=10_000, help="Partitions from now on; more than there are.")
    ],
    as_json: AsJson = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Give a pipeline more partitions, so that more workers can share a stage; it may run meanwhile.

    In the safe order: fused, depth, detections, then frames. Workers and subscribers take the new partitions
    within half a minute. Publishers go on where they are until they are started again; then a stream may sit
    on another partition, where its new run begins. Partitions can never be taken away.

    [cyan]framefuse topics grow --partitions 32[/cyan]
    """
    from dataclasses import replace

    from framefuse.errors import BadInput
    from framefuse.kafka import Admin
    from framefuse.settings import KafkaSettings, load
    from schemas.topics import ALL, FRAMES

    kafka = load(KafkaSettings, bootstrap=bootstrap, prefix=prefix)
    admin, console = Admin(kafka), Console(soft_wrap=True)
    there = admin.partition_count(FRAMES.name(kafka.prefix))
    if partitions <= there:
        raise BadInput(
            f"{FRAMES.name(kafka.prefix)} has {there} partitions, --partitions {partitions} is not more: "
            "Kafka cannot take partitions away"
        )
    with waiting_for("growing topics"):
        grown = admin.level_partitions(partitions)
        states = [
            # Another broker than the one that has grown them may not know it yet.
            replace(one, partitions=max(one.partitions, grown.get(one.name, 0)))
            for one in admin.topic_states([topic.name(kafka.prefix) for topic in ALL])
        ]
    if as_json:
        print(json.dumps({"partitions": partitions, "grown": grown, "topics": _as_dicts(states)}))
        return
    for name, count in grown.items():
        console.print(f"{name} has {count} partitions now")
    _show(console, kafka.prefix, states)
    console.print("Start more workers; restart publishers, so that streams spread over the new partitions.")


@app.command(name="list")
def list_topics(as_json: AsJson = False, bootstrap: Bootstrap = None, prefix: Prefix = None) -> None:
    """The topics that are there, with partitions, limits and retention.

    [cyan]framefuse topics list --json[/cyan]
    """
    from framefuse.kafka import Admin
    from framefuse.settings import KafkaSettings, load
    from schemas.topics import ALL

    kafka = load(KafkaSettings, bootstrap=bootstrap, prefix=prefix)
    with waiting_for("asking the broker"):
        states = Admin(kafka).topic_states([topic.name(kafka.prefix) for topic in ALL])
    if as_json:
        print(json.dumps(_as_dicts(states)))
        return
    _show(Console(), kafka.prefix, states)


@app.command()
def mend(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be changed, and change nothing.")
    ] = False,
    as_json: AsJson = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Mend what `doctor` tells of topics: limits, retention, timestamps; and groups that lost their log.

    Never shortens a retention or lowers a limit that you set: what is longer or larger than by default stays.
    A group stands behind the end of its log when its topic was made anew: it is deleted, and begins at the
    start. Stop its workers before. Says each change.

    [cyan]framefuse topics mend --dry-run[/cyan]

    [cyan]framefuse topics mend --json | jq '.changes[].topic'[/cyan]
    """
    from dataclasses import asdict

    from framefuse.doctor import mending
    from framefuse.kafka import Admin
    from framefuse.settings import KafkaSettings, load
    from schemas.topics import ALL

    kafka = load(KafkaSettings, bootstrap=bootstrap, prefix=prefix)
    admin, console = Admin(kafka), Console(soft_wrap=True, highlight=False)
    with waiting_for("comparing topics"):
        states = admin.topic_states([topic.name(kafka.prefix) for topic in ALL])
        changes, groups = mending.changes(states, kafka.prefix), mending.lost_groups(kafka)
        if not dry_run:
            mending.mend(admin, changes, groups)
    if as_json:
        found = {"changes": [asdict(one) for one in changes], "groups": groups, "dry_run": dry_run}
        print(json.dumps(found))
        return
    for change in changes:
        console.print(f"{change.topic}: {change.name} {change.found} → {change.wanted}")
    for group in groups:
        console.print(f"{group}: deleted, begins at the start of its log")
    if not changes and not groups:
        console.print("Nothing to mend.")
    elif dry_run:
        console.print("Nothing was changed: that was a dry run.")


app.command()(acls)


def _as_dicts(states: list["TopicState"]) -> list[dict[str, object]]:
    return [{"name": one.name, "partitions": one.partitions, "config": dict(one.config)} for one in states]


def _show(console: Console, prefix: str, states: list["TopicState"]) -> None:
    table = Table(box=None, header_style="dim")
    # Names and numbers stay whole on a narrow terminal; only how long they are kept is folded.
    for column in ("topic", "partitions", "kept", "record at most"):
        table.add_column(column, no_wrap=column != "kept", overflow="fold")
    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    for state in states:
        limit_mib = int(state.config["max.message.bytes"]) / (1 << 20)
        table.add_row(
            state.name.removeprefix(f"{prefix}."), str(state.partitions), _kept(state), f"{limit_mib:.0f} MiB"
        )
    console.print(table)


def _kept(state: "TopicState") -> str:
    if state.config["cleanup.policy"] == "compact":
        return "the last of each key"
    kept_ms = int(state.config["retention.ms"])
    time = "for ever" if kept_ms < 0 else f"{kept_ms / 3_600_000:g} h"
    size_bytes = int(state.config["retention.bytes"])
    size = "" if size_bytes < 0 else f", at most {size_bytes / (1 << 30):.0f} GiB a partition"
    return f"{time}{size}"
