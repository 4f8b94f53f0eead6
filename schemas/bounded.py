"""Which schemas of others are safe to read with: few bytes must not make a reader work for ever, or end it.

The reader of Avro believes a list that says it has 2⁶⁰ items, and ends only where the bytes do: whatever it
reads must take some. It follows types into one another as deep as the schema says, beyond the end of the
stack. And it makes a number of a decimal, in a time that grows with the square of its bytes.
"""

from typing import Any, NamedTuple

_PRIMITIVES = {"null": 0, "boolean": 1, "int": 1, "long": 1, "float": 4, "double": 8, "bytes": 1, "string": 1}
_DEEPEST = 32
"""Types within one another; ours are 6 deep."""


class Unbounded(ValueError):
    """A schema whose values can cost a reader far more than their size."""


class _Extent(NamedTuple):
    """What values of a type take."""

    least_bytes: int
    depth: int
    """Types within one another, itself included."""


def check_bounded(parsed: Any) -> None:  # noqa: ANN401 - what fastavro parsed
    """Refuse a schema of no record, or with a value that takes no bytes, a type too deep, or a decimal.

    A branch of a union may be nothing: which branch it is takes a byte.

    Raises:
        Unbounded: it is one of these.
        Exception: whatever a schema leads to that the parser lets through, and that is none.
    """
    if not isinstance(parsed, dict) or parsed.get("type") != "record":
        raise Unbounded("it is of no record")
    _extent(parsed, {})


def _extent(schema: Any, known: dict[str, _Extent | None]) -> _Extent:  # noqa: ANN401 - as above
    """`known` has the named types, None those that are not complete."""
    if isinstance(schema, str):
        if schema in _PRIMITIVES:
            return _Extent(_PRIMITIVES[schema], 1)
        found = known[schema]
        if found is None:
            raise Unbounded(f"{schema} holds itself")
        return found
    if isinstance(schema, list):
        return _around(1, [_extent(branch, known) for branch in schema])
    if schema.get("logicalType") == "decimal":
        raise Unbounded("a decimal")
    kind = schema["type"]
    if kind == "array":
        items = _extent(schema["items"], known)
        if items.least_bytes == 0:
            raise Unbounded("a list of items that take no bytes")
        return _around(1, [items])
    if kind == "map":
        return _around(1, [_extent(schema["values"], known)])
    return _named(schema, known)


def _named(schema: dict[str, Any], known: dict[str, _Extent | None]) -> _Extent:
    kind = schema["type"]
    if kind in ("record", "error"):
        known[schema["name"]] = None
        found = _record(schema["fields"], known)
    elif kind == "enum":
        found = _Extent(1, 1)
    elif kind == "fixed":
        found = _Extent(_size_bytes(schema["size"]), 1)
    else:  # a primitive with a logical type
        return _extent(kind, known)
    known[schema["name"]] = found
    return found


def _record(fields: list[dict[str, Any]], known: dict[str, _Extent | None]) -> _Extent:
    parts = [_extent(field["type"], known) for field in fields]
    if any(part.least_bytes == 0 for part in parts):
        raise Unbounded("a field that takes no bytes")
    return _around(sum(part.least_bytes for part in parts), parts)


def _size_bytes(size: object) -> int:
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise Unbounded(f"a fixed of {size!r} bytes: expected a number from 0 on")
    return size


def _around(least_bytes: int, parts: list[_Extent]) -> _Extent:
    depth = 1 + max((part.depth for part in parts), default=0)
    if depth > _DEEPEST:
        raise Unbounded(f"more than {_DEEPEST} types deep")
    return _Extent(least_bytes, depth)
