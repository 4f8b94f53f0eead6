"""Which schemas of others are safe to read with: few bytes must not make a reader count or recurse for ever.

The reader of Avro believes a list that says it has 2⁶⁰ items, and ends only where the bytes do: an item must
take some. It follows a type into itself as deep as the value says, beyond the end of the stack.
"""

from typing import Any

_PRIMITIVES = {"null": 0, "boolean": 1, "int": 1, "long": 1, "float": 4, "double": 8, "bytes": 1, "string": 1}


class Unbounded(ValueError):
    """A schema whose values can cost a reader far more than their size."""


def check_bounded(parsed: Any) -> None:  # noqa: ANN401 - what fastavro parsed
    """Refuse a schema with lists of items without bytes, or with a type within itself, or of no record.

    Raises:
        Unbounded: it has one.
    """
    if not isinstance(parsed, dict) or parsed.get("type") != "record":
        raise Unbounded("it is of no record")
    _least_bytes(parsed, {})


def _least_bytes(schema: Any, known: dict[str, int | None]) -> int:  # noqa: ANN401 - as above
    """Bytes that a value takes at least; `known` has the named types, None those that are not complete."""
    if isinstance(schema, str):
        if schema in _PRIMITIVES:
            return _PRIMITIVES[schema]
        size = known[schema]
        if size is None:
            raise Unbounded(f"{schema} holds itself")
        return size
    if isinstance(schema, list):
        for branch in schema:
            _least_bytes(branch, known)
        return 1
    kind = schema["type"]
    if kind in ("array", "map"):
        if _least_bytes(schema["items" if kind == "array" else "values"], known) == 0 and kind == "array":
            raise Unbounded("a list of items that take no bytes")
        return 1
    return _least_named(schema, known)


def _least_named(schema: dict[str, Any], known: dict[str, int | None]) -> int:
    kind = schema["type"]
    if kind in ("record", "error"):
        known[schema["name"]] = None
        size = sum(_least_bytes(part["type"], known) for part in schema["fields"])
    elif kind == "enum":
        size = 1
    elif kind == "fixed":
        size = schema["size"]
    else:  # a primitive with a logical type
        return _least_bytes(kind, known)
    known[schema["name"]] = size
    return size
