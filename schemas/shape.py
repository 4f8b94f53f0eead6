"""Record dataclasses to plain dicts and back: one converter a type, built once from its type hints.

Plain means what fastavro reads and writes: dicts, lists, strings, numbers, bytes, datetimes, None.
"""

import types
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from enum import StrEnum
from functools import cache
from typing import Any, Union, cast, get_args, get_origin, get_type_hints

Convert = Callable[[Any], Any]
"""From one value to another; types are checked where the converter is built, not here."""


def _same(value: Any) -> Any:
    return value


@cache
def to_plain(kind: Any) -> Convert:
    """From a value of type `kind` to what fastavro writes."""
    if is_dataclass(kind):
        parts = [(name, to_plain(hint)) for name, hint in _hints(kind)]
        return lambda record: {name: convert(getattr(record, name)) for name, convert in parts}
    inner = _optional(kind)
    if inner is not None:
        convert = to_plain(inner)
        return convert if convert is _same else lambda value: None if value is None else convert(value)
    if get_origin(kind) is tuple:
        item = to_plain(get_args(kind)[0])
        return lambda values: [item(value) for value in values]
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return lambda value: value.value
    return _same


@cache
def from_plain(kind: Any) -> Convert:
    """From what fastavro read to a value of type `kind`."""
    if is_dataclass(kind):
        build = cast(Callable[..., Any], kind)
        parts = [(name, from_plain(hint)) for name, hint in _hints(kind)]
        return lambda raw: build(**{name: convert(raw[name]) for name, convert in parts})
    inner = _optional(kind)
    if inner is not None:
        convert = from_plain(inner)
        return convert if convert is _same else lambda value: None if value is None else convert(value)
    if get_origin(kind) is tuple:
        item = from_plain(get_args(kind)[0])
        return lambda values: tuple(item(value) for value in values)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return kind
    return _same


def _hints(kind: Any) -> list[tuple[str, Any]]:
    hints = get_type_hints(kind)
    return [(part.name, hints[part.name]) for part in fields(kind)]


def _optional(kind: Any) -> Any:
    """The X of `X | None`; None for everything else."""
    if get_origin(kind) not in (Union, types.UnionType):
        return None
    return next(part for part in get_args(kind) if part is not types.NoneType)
