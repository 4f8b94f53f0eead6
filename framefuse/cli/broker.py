"""`framefuse broker up|down|status`: the embedded Kafka broker of this machine, from a terminal.

Only speaks with the user; starting and stopping is `framefuse.broker`, imported when a command runs.
"""

import json
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from framefuse.broker.home import RunningBroker

_HELP = """A real Apache Kafka on this machine, without Docker: loopback only, for one person.

[cyan]framefuse broker up[/cyan]

[cyan]framefuse broker down[/cyan]
"""
app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help=_HELP,
)

Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        envvar="FRAMEFUSE_BROKER_DATA",
        help="Folder with the broker's log and settings; the user's data folder by default.",
        file_okay=False,
    ),
]
Port = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=65535,
        help="Port on 127.0.0.1; the port of the last start, else 9092, else any free one by default.",
    ),
]

AsJson = Annotated[
    bool,
    typer.Option("--json", help="One JSON object: running, answers, and if it runs bootstrap, pid and more."),
]


@app.command()
def up(*, port: Port = None, data: Data = None) -> None:
    """Start the broker and come back when it answers; it goes on after this command.

    The first start fetches 45 MB of jars, later ones need no network.
    What the broker holds is there again after `down`, after a crash and after a restart of the machine.
    Other commands find it by themselves; one with `--data` they find by FRAMEFUSE_BROKER_DATA.

    [cyan]framefuse broker up[/cyan]

    [cyan]framefuse broker up --port 19092 --data ./kafka[/cyan]
    """
    from framefuse import broker
    from framefuse.cli.bars import waiting_for

    found = broker.status(data)
    started_s = time.monotonic()
    with waiting_for("starting") as told:
        told("Kafka")
        running = broker.start(data, port=port, progress=lambda done, total: told(_fetching(done, total)))
    took_s = time.monotonic() - started_s
    already = found is not None and found.pid == running.pid
    how = "already runs" if already else f"ready after {took_s:.1f} s"
    typer.echo(f"Kafka {running.version} at {running.bootstrap}: {how} (pid {running.pid})")
    typer.echo(f"data: {running.data_dir}")
    if running.data_dir != broker.default_data_dir().expanduser().resolve():
        setting = f"{broker.DATA_VARIABLE}={shlex.quote(str(running.data_dir))}"
        typer.echo(f"so that all other commands find it: export {setting}")


@app.command()
def down(*, data: Data = None) -> None:
    """Stop the broker; what it holds stays in its folder.

    [cyan]framefuse broker down[/cyan]
    """
    from framefuse import broker
    from framefuse.cli.bars import waiting_for

    with waiting_for("stopping") as told:
        told("Kafka")
        stopped = broker.stop(data)
    typer.echo("stopped" if stopped else "no broker was running")


@app.command()
def status(*, data: Data = None, as_json: AsJson = False) -> None:
    """Say where the broker runs; exit status 0 when it answers, 3 when it does not run or does not answer.

    [cyan]framefuse broker status[/cyan]

    [cyan]framefuse broker status --json | jq -r .bootstrap[/cyan]
    """
    from framefuse import broker

    running = broker.status(data)
    answering = running is not None and broker.answers(running.bootstrap)
    if as_json:
        typer.echo(_as_json(running, answering=answering))
    elif running is None:
        typer.echo(_none_runs(broker.default_data_dir() if data is None else data))
    else:
        how = "answers" if answering else "does not answer (yet)"
        typer.echo(f"Kafka {running.version} at {running.bootstrap}: {how} (pid {running.pid})")
        typer.echo(f"data: {running.data_dir}")
    if not answering:
        raise typer.Exit(3)


def _none_runs(folder: Path) -> str:
    from framefuse.broker import unclaimed_bootstrap

    unclaimed = unclaimed_bootstrap()
    if unclaimed is None:
        return "no broker runs here: start one with 'framefuse broker up'"
    return (
        f"no broker of {folder} runs here, but a Kafka answers at {unclaimed}: "
        "where it was started with --data FOLDER, say so here too, or set FRAMEFUSE_BROKER_DATA=FOLDER"
    )


def _as_json(running: "RunningBroker | None", *, answering: bool) -> str:
    if running is None:
        return json.dumps({"running": False, "answers": False})
    return json.dumps({"running": True, "answers": answering, **json.loads(running.to_json())})


def _fetching(done_bytes: int, total_bytes: int) -> str:
    """What the start waits for; most of the first one is the fetching of jars."""
    if done_bytes >= total_bytes:
        return "Kafka"
    return f"Kafka: fetching its jars, {done_bytes / 1e6:.0f} of {total_bytes / 1e6:.0f} MB"
