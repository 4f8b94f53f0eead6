"""The reference of settings: of the connection to Kafka and of every stage, by each of their names."""

import types
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from framefuse import plugins
from framefuse.settings import KafkaSettings
from handbook.commands import Command, commands
from handbook.tables import code, named, plain, table

_WORDS = {
    int: "integer",
    float: "number",
    bool: "true or false",
    str: "text",
    Path: "path",
    SecretStr: "secret",
}


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting, under all of its names."""

    section: str | None
    """Of `framefuse.yaml`; None: its top."""
    key: str
    flag: str | None
    variable: str
    kind: str
    default: str
    meaning: str


def all_settings() -> Iterator[Setting]:
    """Those of the connection, then those of each installed stage that do something in it."""
    runs = {command.path[-1]: command for command in commands() if command.path[:2] == ("framefuse", "run")}
    anywhere = next(command for name, command in runs.items() if name != "run")
    yield from _settings(KafkaSettings, None, anywhere, only_flags=False)
    for name in plugins.names(plugins.STAGES):
        yield from _settings(plugins.load_stage(name).settings, name, runs[name], only_flags=True)


def page() -> str:
    """The Markdown of all settings, a section for Kafka and one for each stage."""
    settings = list(all_settings())
    sections = dict.fromkeys(setting.section for setting in settings)
    return "\n\n".join(part for name in sections for part in _section(name, settings))


def _section(name: str | None, settings: list[Setting]) -> Iterator[str]:
    yield f"## {name}" if name else "## The connection to Kafka"
    if name:
        yield f"Of `framefuse run {name}`; in `framefuse.yaml` in the section `{name}:`."
    rows = table(
        ("setting", "value", "default", "meaning"),
        (
            (
                "<br>".join(code(one) for one in _names(setting)),
                setting.kind,
                setting.default,
                setting.meaning,
            )
            for setting in settings
            if setting.section == name
        ),
    )
    yield named(rows)


def _names(setting: Setting) -> list[str]:
    return [one for one in (setting.key, setting.flag, setting.variable) if one]


def _settings(
    kind: type[Any], section: str | None, command: Command, *, only_flags: bool
) -> Iterator[Setting]:
    flags = {option.name: option.spelt.split(" ")[0].rstrip(",") for option in command.options}
    prefix = kind.model_config.get("env_prefix", "FRAMEFUSE_")
    for key, field in kind.model_fields.items():
        if key in flags or not only_flags:
            yield Setting(
                section,
                key,
                flags.get(key),
                f"{prefix}{key.upper()}",
                ", ".join([_kind(field.annotation), *_bounds(field)]),
                _default(field),
                plain(field.description or ""),
            )


def _kind(annotation: Any) -> str:  # noqa: ANN401 - whatever a field is declared as
    if get_origin(annotation) in (Union, types.UnionType):
        return " or ".join(_kind(one) for one in get_args(annotation) if one is not types.NoneType)
    if get_origin(annotation) is Literal:
        return ", ".join(code(str(value)) for value in get_args(annotation))
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return ", ".join(code(str(one.value)) for one in annotation)
    return _WORDS.get(annotation) or code(getattr(annotation, "__name__", str(annotation)))


def _bounds(field: FieldInfo) -> Iterator[str]:
    for bound in field.metadata:
        match bound:
            case annotated_types.Ge(ge=least):
                yield f"≥ {least}"
            case annotated_types.Gt(gt=least):
                yield f"> {least}"
            case annotated_types.Le(le=most):
                yield f"≤ {most}"
            case annotated_types.Lt(lt=most):
                yield f"< {most}"


def _default(field: FieldInfo) -> str:
    match field.default:
        case None:
            return ""
        case bool():
            return code(str(field.default).lower())
        case Enum():
            return code(str(field.default.value))
        case _:
            return code(str(field.default))
