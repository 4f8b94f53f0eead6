"""The reference of commands, from the command line itself: every command with its examples and options.

Asks for what `--help` shows and nothing deeper, so that it holds whatever the library below looks like.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import typer

from handbook.tables import code, plain, table

_EXAMPLE = re.compile(r"^(?P<typed>\[cyan\].+\[/cyan\])(?P<said>.*)$")
_MARKED = re.compile(r"\[cyan\](.+?)\[/cyan\]")
_HEADING = re.compile(r"^\[bold\][^\[\]]+\[/bold\]$")
_FACTS = re.compile(r"\s*\[(?P<facts>[^\[\]/][^\[\]]*)\]$")
_DEFAULT = re.compile(r"\s*\bDefault (?P<default>\S+)\.(?=\s|$)")
_RANGE = re.compile(r"(?:(?P<least>[^<>=]+)<=)?x(?:<=(?P<most>.+)|>=(?P<from>.+))?")


@dataclass(frozen=True, slots=True)
class Option:
    """An option or argument, as `--help` has it."""

    name: str
    """Of the parameter in the code, `batch_max`."""
    spelt: str
    """`--batch-max <int>`, or the name of an argument."""
    meaning: str
    """With markup of the terminal."""
    panel: str | None


@dataclass(frozen=True, slots=True)
class Command:
    """A command that does something, or a group of such."""

    path: tuple[str, ...]
    help: str
    options: tuple[Option, ...]

    @property
    def name(self) -> str:
        """As it is typed."""
        return " ".join(self.path)


def commands() -> list[Command]:
    """Every command that is installed, in the order of `framefuse --help`, groups before what is in them."""
    from framefuse.cli.main import app

    return list(_walk(typer.main.get_command(app), ("framefuse",), None))


def page() -> str:
    """The Markdown of all commands."""
    return "\n\n".join(part for command in commands() for part in _told(command))


def _walk(command: Any, path: tuple[str, ...], parent: Any) -> Iterator[Command]:  # noqa: ANN401 - typer's own
    context = command.make_context(path[-1], [], parent=parent, resilient_parsing=True)
    text = "\n\n".join(part for part in (command.help, command.epilog) if part)
    yield Command(path, text, tuple(_options(command.params, context)))
    for name in command.list_commands(context) if hasattr(command, "list_commands") else ():
        yield from _walk(command.get_command(context, name), (*path, name), context)


def _options(parameters: Sequence[Any], context: Any) -> Iterator[Option]:  # noqa: ANN401 - typer's own
    for parameter in parameters:
        shown = None if parameter.hidden else parameter.get_help_record(context)
        if shown is not None:
            yield Option(parameter.name, shown[0], shown[1], getattr(parameter, "rich_help_panel", None))


def _told(command: Command) -> Iterator[str]:
    yield f"{'#' * max(len(command.path), 2)} {command.name}"
    examples: list[str] = []
    for paragraph in re.split(r"\n\s*\n", command.help):
        lines = paragraph.rstrip().splitlines()
        found = [_EXAMPLE.match(line) for line in lines]
        if lines and all(found):
            examples += [line for match in found if match for line in _typed(match)]
        elif not _HEADING.match(paragraph.strip()):
            yield plain(" ".join(paragraph.split()))
    if examples:
        yield "```sh\n" + "\n".join(examples) + "\n```"
    panels = dict.fromkeys(option.panel for option in command.options)
    for panel in panels:
        rows = [_row(option) for option in command.options if option.panel == panel]
        if panel:
            yield f"**{panel}**"
        yield table(("option", "meaning", "default, range"), rows)


def _typed(example: re.Match[str]) -> list[str]:
    """The commands of an example, the last one with what is said of it."""
    typed = _MARKED.findall(example["typed"])
    said = example["said"].strip(" —")
    return [*typed[:-1], f"{typed[-1]}   # {said}" if said else typed[-1]]


def _row(option: Option) -> tuple[str, str, str]:
    meaning, facts = option.meaning, []
    if found := _FACTS.search(meaning):
        meaning, facts = meaning[: found.start()], [_fact(fact) for fact in found["facts"].split("; ")]
    if found := _DEFAULT.search(meaning):
        meaning = meaning[: found.start()] + meaning[found.end() :]
        facts.insert(0, code(found["default"]))
    return code(option.spelt), plain(meaning), ", ".join(facts)


def _fact(fact: str) -> str:
    """`default: 8`, `1<=x<=9`, `x>=1`, `env var: X` or `required`, in words."""
    name, _, value = fact.partition(": ")
    if value:
        return code(value)
    if found := _RANGE.fullmatch(fact):
        least, most = found["least"] or found["from"], found["most"]
        return f"{least} to {most}" if least and most else f"≥ {least}" if least else f"≤ {most}"
    return name
