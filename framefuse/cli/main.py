"""The root of `framefuse`: mounts every command, ours and those that other packages bring.

What becomes of errors, and the exit codes, is in `ending.py`.
"""

import re
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from framefuse.cli import broker, dead_letters, ending, run, streams, topics
from framefuse.cli.audit import audit
from framefuse.cli.demo import demo
from framefuse.cli.doctor import doctor
from framefuse.cli.infer import InferCommand, infer
from framefuse.cli.publish import publish
from framefuse.cli.title import hide_credentials, shown_arguments
from framefuse.cli.watch import watch

_DEBUG = "--debug"
_LINE_BREAK = re.compile(r"(?<=\S)\n(?=\S)")
"""Within a paragraph; not beside an empty or an indented line."""
_SHOWN_BY_TYPER: type[Exception] = next(
    base
    for base in typer.BadParameter.__mro__
    if base.__name__ == "ClickException" and issubclass(base, Exception)
)
"""Wrong usage; of typer's own copy of click, or of click, as its version has it."""


class Root(TyperGroup):
    """Shows an error as one line that says what to do; a traceback only with --debug."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401 - as the base class has it
        """Ours, then those that other packages bring (`framefuse.commands`)."""
        from framefuse import plugins

        return [*super().list_commands(ctx), *plugins.names(plugins.COMMANDS)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401 - as the base class has it
        """One of ours, or what a package brings under this name, imported only now."""
        ours = super().get_command(ctx, cmd_name)
        if ours is not None:
            return _reflowed(ours)
        from framefuse import plugins

        if cmd_name not in plugins.names(plugins.COMMANDS):
            return None
        command = typer.main.get_command(_brought(cmd_name))
        command.name = cmd_name
        return _reflowed(command)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - as the base class has it
        """Take --debug wherever it stands."""
        own = args[: args.index("--")] if "--" in args else args
        if _DEBUG in own:
            args = [_DEBUG, *(one for one in own if one != _DEBUG), *args[len(own) :]]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - as the base class has it
        """Run the command."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()  # a reader that went away shows itself here, not while Python ends
        except (typer.Exit, typer.Abort, _SHOWN_BY_TYPER):
            raise
        except SystemExit as ended:
            if isinstance(ended.__context__, BrokenPipeError):  # rich ends the program so
                raise typer.Exit(ending.EXIT_PIPE_CLOSED) from None
            raise
        except (Exception, KeyboardInterrupt) as error:
            if ctx.params.get("debug"):
                raise
            raise typer.Exit(ending.end_with(error, " ".join(shown_arguments(sys.argv[1:])))) from None
        return result


def _reflowed(command: Any) -> Any:  # noqa: ANN401 - typer's copy of click, or click
    """The command, its help broken where the terminal ends and not where the source does; its own, too."""
    for one in (command, *getattr(command, "commands", {}).values()):
        one.help = _LINE_BREAK.sub(" ", one.help or "")
    return command


def _brought(name: str) -> typer.Typer:
    """A command of another package; one that cannot be imported says so when it is run, and in the help."""
    from framefuse import plugins

    try:
        found = plugins.load_command(name)
    except Exception as error:  # somebody else's code, at import
        found = _broken(name, error)
    if isinstance(found, typer.Typer):
        return found
    single = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)
    single.command(name=name)(found)
    return single


def _broken(name: str, error: Exception) -> Callable[[], None]:
    def cannot() -> None:
        raise error

    cannot.__doc__ = f"Cannot be loaded: {type(error).__name__}: {error}"
    return cannot


app = typer.Typer(
    name="framefuse",
    cls=Root,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=ending.EXIT_CODES,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"framefuse {version('framefuse')}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    debug: Annotated[
        bool, typer.Option(_DEBUG, help="Show tracebacks and debug messages; may stand anywhere.")
    ] = False,
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

    [cyan]framefuse streams add gate 'rtsp://…'[/cyan], [cyan]framefuse run camera[/cyan] — many cameras

    [cyan]framefuse watch[/cyan] — results out

    [cyan]framefuse models check yolo11n.onnx[/cyan] — whether a model can be used, and how fast it is

    [cyan]framefuse doctor[/cyan] — whether all is well, and what mends what is not

    [cyan]framefuse dead-letters list[/cyan] — what no stage could use, and its way back
    """
    from framefuse import logs

    worker = context.invoked_subcommand == "run"
    logs.configure(verbose=debug, quiet=not worker)
    if context.invoked_subcommand != "doctor":  # which tells of it beside the rest
        ending.warn_of_unread(into_log=worker)


app.command()(demo)
app.add_typer(broker.app, name="broker")
app.add_typer(topics.app, name="topics")
app.add_typer(streams.app, name="streams")
app.command()(publish)
app.add_typer(run.app, name="run")

app.command()(watch)
app.command()(doctor)
app.command(cls=InferCommand)(infer)
app.command()(audit)
app.add_typer(dead_letters.app, name="dead-letters")


def main() -> None:
    """Entry point of the program."""
    hide_credentials(sys.argv)
    app()
