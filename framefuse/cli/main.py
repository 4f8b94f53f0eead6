"""The root of `framefuse`: mounts every command, turns errors into messages and exit codes.

Exit codes: 0 done · 1 done in part (some input failed, the books do not balance) · 2 cannot be done as
asked · 130 stopped by Ctrl-C.
"""

from typing import Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from framefuse.cli import broker, dead_letters, run, topics
from framefuse.cli.audit import audit
from framefuse.cli.demo import demo
from framefuse.cli.infer import infer
from framefuse.cli.publish import publish
from framefuse.cli.watch import watch
from framefuse.errors import FramefuseError

EXIT_CANNOT, EXIT_INTERRUPTED = 2, 130


class Root(TyperGroup):
    """Shows our errors as one line that says what to do; a traceback only with --debug."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401 - as the base class has it
        """Ours, then those that other packages bring (`framefuse.commands`)."""
        from framefuse import plugins

        return [*super().list_commands(ctx), *plugins.names(plugins.COMMANDS)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401 - as the base class has it
        """One of ours, or what a package brings under this name, imported only now."""
        from framefuse import plugins

        ours = super().get_command(ctx, cmd_name)
        if ours is not None or cmd_name not in plugins.names(plugins.COMMANDS):
            return ours
        found = plugins.load_command(cmd_name)
        if not isinstance(found, typer.Typer):
            single = typer.Typer(
                add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False
            )
            single.command(name=cmd_name)(found)
            found = single
        command = typer.main.get_command(found)
        command.name = cmd_name
        return command

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - as the base class has it
        """Run the command."""
        try:
            return super().invoke(ctx)
        except FramefuseError as error:
            if ctx.params.get("debug"):
                raise
            Console(stderr=True, soft_wrap=True, highlight=False).print(
                f"[bold red]error[/]: {_plain(error)}"
            )
            raise typer.Exit(EXIT_CANNOT) from None
        except KeyboardInterrupt:
            raise typer.Exit(EXIT_INTERRUPTED) from None


def _plain(error: FramefuseError) -> str:
    from rich.markup import escape

    return escape(str(error))


app = typer.Typer(
    name="framefuse",
    cls=Root,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"framefuse {version('framefuse')}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks and debug messages.")] = False,
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Detection and depth of many cameras, joined on frame id, through Apache Kafka.

    [bold]Start here[/bold]

    [cyan]framefuse demo[/cyan] — all of it on this machine, with a picture at the end

    [cyan]framefuse infer photo.jpg[/cyan] — one picture, without Kafka

    [cyan]framefuse broker up[/cyan], [cyan]framefuse topics create[/cyan] — a real Kafka and its topics

    [cyan]framefuse run detection --workers 2[/cyan] — a stage; also depth, join, object-store

    [cyan]framefuse publish video.mp4 --wait[/cyan] — frames in

    [cyan]framefuse watch[/cyan] — results out

    [cyan]framefuse dead-letters list[/cyan] — what no stage could use, and its way back
    """
    from framefuse import logs

    logs.configure(verbose=debug, quiet=context.invoked_subcommand != "run")


app.command()(demo)
app.add_typer(broker.app, name="broker")
app.add_typer(topics.app, name="topics")
app.command()(publish)
app.add_typer(run.app, name="run")

app.command()(watch)
app.command()(infer)
app.command()(audit)
app.add_typer(dead_letters.app, name="dead-letters")


def main() -> None:
    """Entry point of the program."""
    app()
