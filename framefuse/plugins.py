"""Finds stages, sinks, sources and commands by entry point: ours and those of a user's own packages."""

from collections.abc import Callable
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from framefuse.errors import BadInput

if TYPE_CHECKING:
    from framefuse.audit.stored import OpenStoredRows
    from framefuse.doctor.findings import Check
    from framefuse.types import Sink, SinkContext, Stage

STAGES, SINKS = "framefuse.stages", "framefuse.sinks"
STORED_ROWS = "framefuse.stored_rows"
COMMANDS, CHECKS = "framefuse.commands", "framefuse.checks"


def names(group: str) -> list[str]:
    """What there is in a group, sorted."""
    return sorted({entry.name for entry in entry_points(group=group)})


def load_stage(name: str) -> "Stage[Any]":
    """The stage of this name.

    Raises:
        BadInput: there is none.
    """
    from framefuse.types import Stage  # heavy: `framefuse --help` has no need of it

    stage = _entry(STAGES, "stage", name).load()
    if not isinstance(stage, Stage):
        raise BadInput(f"entry point {name} of {STAGES} is a {type(stage).__name__}, expected a Stage")
    return stage


def load_sink(name: str) -> "Callable[[Any, SinkContext], Sink[Any]]":
    """The `open(settings, context)` of the sink of this name.

    Raises:
        BadInput: there is none.
    """
    opener: Callable[[Any, SinkContext], Sink[Any]] = _entry(SINKS, "sink", name).load()
    return opener


def load_stored_rows(name: str) -> "OpenStoredRows":
    """What reads back what the sink of this name has stored.

    Raises:
        BadInput: there is none.
    """
    opener: OpenStoredRows = _entry(STORED_ROWS, "reader of a store", name).load()
    return opener


def load_command(name: str) -> Any:  # noqa: ANN401 - what typer makes of it is the command line's business
    """The function or `typer.Typer` of a command that is not part of the runtime.

    Raises:
        BadInput: there is none.
    """
    return _entry(COMMANDS, "command", name).load()


def load_check(name: str) -> "Check":
    """What `framefuse doctor` looks at under this name.

    Raises:
        BadInput: there is none.
    """
    from framefuse.doctor.findings import Check

    check = _entry(CHECKS, "check", name).load()
    if not isinstance(check, Check):
        raise BadInput(f"entry point {name} of {CHECKS} is a {type(check).__name__}, expected a Check")
    return check


def _entry(group: str, kind: str, name: str) -> EntryPoint:
    for entry in entry_points(group=group, name=name):
        return entry
    there = names(group)
    near = get_close_matches(name, there, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(there)}"
    raise BadInput(f"no {kind} {name!r}: {hint}")
