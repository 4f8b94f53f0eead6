"""`framefuse run STAGE`: one command a stage, its options made from the stage's settings.

Stages are found by entry point, so a user's own stage gets its command and options without any code here.
"""

import inspect
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from framefuse.cli.options import Bootstrap, Prefix

_SECOND_SIGNAL_EXIT = 130


class StageGroup(TyperGroup):
    """The stages as subcommands, each imported only when it is run or its own help is asked for."""

    _by_name_only = False

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - as the base class has it
        """The list of stages says their names: no model runtime is imported for that."""
        self._by_name_only = True
        super().format_help(ctx, formatter)

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:  # noqa: ANN401 - as the base class has it
        """The names alone, so that the shell has them at once."""
        self._by_name_only = True
        return super().shell_complete(ctx, incomplete)

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401
        """Every installed stage."""
        from framefuse import plugins

        return plugins.names(plugins.STAGES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401
        """The command of one stage."""
        from framefuse import plugins

        stage = None if self._by_name_only else plugins.load_stage(cmd_name)
        run = _nothing if stage is None else _command_for(stage)
        shares = stage is None or stage.main is None
        single = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)
        single.command(name=cmd_name, help=_help_of(cmd_name, workers=shares))(run)
        command = typer.main.get_command(single)
        command.name = cmd_name
        return command


def _nothing() -> None:
    """Stands for a stage where only its name matters."""


app = typer.Typer(
    cls=StageGroup,
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@app.callback()
def stages() -> None:
    """Run workers of a stage until Ctrl-C; start more here or on other hosts, up to the partition count.

    [cyan]framefuse run detection --workers 2[/cyan]

    [cyan]framefuse run detection --help[/cyan] — the settings of a stage
    """


def stop_on_signals() -> threading.Event:
    """An event that SIGTERM and the first Ctrl-C set; the second ends the process at once."""
    stop = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        del number, frame
        if stop.is_set():
            import os

            os._exit(_SECOND_SIGNAL_EXIT)
        stop.set()

    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGTERM, on_signal)
    return stop


def _command_for(stage: Any) -> Callable[..., None]:  # noqa: ANN401 - a Stage of any settings
    fields = _fields(stage)

    def command(**given: Any) -> None:
        from framefuse.runtime.running import RunOptions, run_stage
        from framefuse.settings import KafkaSettings, load

        settings = load(stage.settings, **{name: given[name] for name in fields})
        kafka = load(KafkaSettings, bootstrap=given["bootstrap"], prefix=given["prefix"])
        options = RunOptions(given["workers"], given["metrics_host"], given["metrics_port"])
        run_stage(stage, settings, kafka, options, stop_on_signals())

    workers = typer.Option(min=1, help="Workers, as threads of this process.", hidden=stage.main is not None)
    parameters = [
        _parameter("workers", Annotated[int, workers], 1),
        _parameter("bootstrap", Bootstrap, None),
        _parameter("prefix", Prefix, None),
        _parameter("metrics_host", Annotated[str, typer.Option(help="Where /metrics listens.")], "127.0.0.1"),
        _parameter(
            "metrics_port",
            Annotated[
                int | None, typer.Option(help="Port of /metrics; the first free from 9464 on by default.")
            ],
            None,
        ),
    ]
    for name, field in fields.items():
        option = typer.Option(help=_described(name, field), rich_help_panel=_panel(stage.settings, fields))
        parameters.append(_parameter(name, Annotated[_optional(field.annotation), option], None))
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


def _fields(stage: Any) -> dict[str, Any]:  # noqa: ANN401
    """The settings of a stage that do something in it: what limits a processor needs one."""
    from framefuse.settings import StageSettings

    general = () if stage.build else StageSettings.model_fields
    return {name: field for name, field in stage.settings.model_fields.items() if name not in general}


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:  # noqa: ANN401
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


def _optional(annotation: Any) -> Any:  # noqa: ANN401 - None means: not given as a flag
    return annotation | None


def _panel(settings: type[Any], fields: dict[str, Any]) -> str:
    """What stands above them: also the variable of one, for in 80 columns there is no room beside each."""
    prefix, name = settings.model_config.get("env_prefix", "FRAMEFUSE_"), min(fields, key=len, default="")
    return f"Settings: --{name.replace('_', '-')} is also {prefix}{name.upper()}"


def _described(name: str, field: Any) -> str:  # noqa: ANN401
    default = "" if field.default is None else f" Default {field.default}."
    return f"{field.description or name}{default}"


def _help_of(name: str, *, workers: bool) -> str:
    what = "workers of the stage" if workers else "one process of the stage"
    more = "" if workers else " More such processes, here or on other hosts, share the work."
    example = " --workers 3" if workers else ""
    return (
        f"Run {what} [bold]{name}[/bold] until Ctrl-C, which drains and commits; a second "
        f"one stops at once.{more}\n\n"
        f"[cyan]framefuse run {name}[/cyan]\n\n"
        f"[cyan]framefuse run {name}{example} --metrics-port 9464[/cyan]"
    )
