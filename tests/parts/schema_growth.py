"""Records as they were written by every version so far, and what a change of a schema would break.

A changed schema needs an example of its own, so that later versions are tested against it:

    python -m tests.parts.schema_growth

writes those that are missing. What is there already is never written again: it is what lies in the topics.
"""

import base64
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import fastavro

from schemas import codec
from schemas.codec import MAGIC, RecordSchema, read_schema, schema_of
from schemas.topics import ALL, SCHEMAS

FOLDER = Path(codec.__file__).parent / "examples"
_MOMENT = datetime(2026, 3, 1, 12, tzinfo=UTC)
_VALUES: Mapping[str, Any] = {
    "null": None,
    "boolean": True,
    "int": 3,
    "long": 7,
    "float": 0.5,
    "double": 0.25,
    "bytes": b"\x00\xff",
}
_READS: Mapping[str, frozenset[str]] = {
    "long": frozenset({"int"}),
    "float": frozenset({"int", "long"}),
    "double": frozenset({"int", "long", "float"}),
    "string": frozenset({"bytes"}),
    "bytes": frozenset({"string"}),
}
"""What else a reader of a type can read, by the specification of Avro."""


def today() -> Mapping[str, RecordSchema]:
    """What this version writes, by topic."""
    return {topic.suffix: schema_of(cast(Any, topic.record)) for topic in ALL if topic is not SCHEMAS}


def kept(topic: str) -> list[Path]:
    """The examples of a topic, oldest first."""
    return sorted((FOLDER / topic).glob("*.json"), key=lambda path: int(path.stem))


def schema_in(path: Path) -> RecordSchema:
    """The schema that an example was written with."""
    return read_schema(json.dumps(json.loads(path.read_text())["schema"]))


def what_breaks(before: Any, after: Any) -> list[str]:  # noqa: ANN401 - JSON
    """What the change of a schema breaks: for readers of today with old records, and the other way round.

    A field that is gone, or has another name, counts too: Avro passes over it, and what it said is lost.

    Args:
        before: JSON of the schema as it was.
        after: as it is now.
    """
    found = [f"now reading then: {said}" for said in _breaks(_Pair(before, after, before["name"]))]
    found += [f"now reading then: {said}" for said in _gone(before, after, before["name"])]
    return found + [f"then reading now: {said}" for said in _breaks(_Pair(after, before, before["name"]))]


def _gone(before: Any, after: Any, path: str) -> Iterator[str]:  # noqa: ANN401
    """Fields that nobody reads any more, where both schemas have the same shape."""
    if isinstance(before, list) and isinstance(after, list):
        for one, other in zip(before, after, strict=False):
            yield from _gone(one, other, path)
    elif isinstance(before, dict) and isinstance(after, dict):
        now = {part["name"]: part["type"] for part in after.get("fields", ())}
        for part in before.get("fields", ()):
            name = f"{path}.{part['name']}"
            if part["name"] in now:
                yield from _gone(part["type"], now[part["name"]], name)
            else:
                yield f"{name}: no longer read"
        for inner in ("items", "values", "type"):
            if inner in before and inner in after:
                yield from _gone(before[inner], after[inner], path)


@dataclass(frozen=True, slots=True)
class _Pair:
    """A type as it is written and as it is read, with the named types met so far on either side."""

    writer: Any
    reader: Any
    path: str
    written: dict[str, Any] = field(default_factory=dict)
    read: dict[str, Any] = field(default_factory=dict)

    def within(self, writer: Any, reader: Any, step: str = "") -> "_Pair":  # noqa: ANN401
        return _Pair(writer, reader, self.path + step, self.written, self.read)


def _breaks(pair: _Pair) -> Iterator[str]:
    writer, reader = _named(pair.writer, pair.written), _named(pair.reader, pair.read)
    pair = pair.within(writer, reader)
    if isinstance(writer, list) or isinstance(reader, list):
        yield from _breaks_of_unions(pair)
        return
    was, wanted = _kind(writer, pair.written), _kind(reader, pair.read)
    if was != wanted:
        if was not in _READS.get(wanted, ()):
            yield f"{pair.path}: {was} became {wanted}"
    elif wanted == "enum":
        unknown = sorted(set(writer["symbols"]) - set(reader["symbols"]))
        if unknown and "default" not in reader:
            yield f"{pair.path}: {', '.join(unknown)} unknown to the reader"
    elif wanted == "record":
        yield from _breaks_of_records(pair)
    elif wanted in ("array", "map"):
        inner = "items" if wanted == "array" else "values"
        yield from _breaks(pair.within(writer[inner], reader[inner], "[]"))


def _breaks_of_unions(pair: _Pair) -> Iterator[str]:
    readers = pair.reader if isinstance(pair.reader, list) else [pair.reader]
    for one in pair.writer if isinstance(pair.writer, list) else [pair.writer]:
        was = _kind(one, pair.written)
        alike = [other for other in readers if _kind(other, pair.read) == was]
        if alike:
            yield from _breaks(pair.within(one, alike[0]))
        elif not any(was in _READS.get(_kind(other, pair.read), ()) for other in readers):
            yield f"{pair.path}: {was} is none of {[_kind(other, pair.read) for other in readers]}"


def _breaks_of_records(pair: _Pair) -> Iterator[str]:
    writer, reader = pair.writer, pair.reader
    if writer["name"] != reader["name"]:
        yield f"{pair.path}: {writer['name']} became {reader['name']}"
    written = {part["name"]: part["type"] for part in writer["fields"]}
    for part in reader["fields"]:
        name = part["name"]
        if name in written:
            yield from _breaks(pair.within(written[name], part["type"], f".{name}"))
        elif "default" not in part:
            yield f"{pair.path}.{name}: not written, and the reader has no default"


def _named(kind: Any, types: dict[str, Any]) -> Any:  # noqa: ANN401
    """A type itself, where only its name was given; notes the types that are defined within it."""
    if isinstance(kind, str):
        return types.get(kind.removeprefix("framefuse."), kind)
    if isinstance(kind, list):
        return [_named(one, types) for one in kind]
    if "name" in kind:
        types[kind["name"]] = kind
    for inner in (kind.get("items"), kind.get("values"), *(f["type"] for f in kind.get("fields", ()))):
        if inner is not None and not isinstance(inner, str):
            _named(inner, types)
    return kind


def _kind(schema: Any, types: dict[str, Any]) -> str:  # noqa: ANN401
    schema = _named(schema, types)
    return schema if isinstance(schema, str) else _kind(schema["type"], types)


def an_example(schema: Any, name: str = "", types: dict[str, Any] | None = None) -> Any:  # noqa: ANN401
    """A value that follows a schema, with everything in it that there can be."""
    types = {} if types is None else types
    schema = _named(schema, types)
    if isinstance(schema, list):
        return an_example(schema[-1], name, types)
    kind = _kind(schema, types)
    if isinstance(schema, dict) and "logicalType" in schema:
        value: Any = _MOMENT
    elif kind == "record":
        value = {part["name"]: an_example(part["type"], part["name"], types) for part in schema["fields"]}
    elif kind == "enum":
        value = schema["symbols"][0]
    elif kind in ("array", "map"):
        item = an_example(schema["items" if kind == "array" else "values"], name, types)
        value = [item] if kind == "array" else {"some": item}
    else:
        value = _VALUES.get(kind, f"a {name}")
    return value


def as_json(value: Any) -> Any:  # noqa: ANN401
    """A record as JSON has it: bytes in base64, times in ISO 8601."""
    if isinstance(value, Mapping):
        return {name: as_json(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(one) for one in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value.isoformat() if isinstance(value, datetime) else value


def keep_missing() -> list[Path]:
    """Keep an example of every schema of today that has none."""
    written = []
    for topic, schema in today().items():
        known = {schema_in(path).fingerprint for path in kept(topic)}
        if schema.fingerprint in known:
            continue
        record = an_example(json.loads(schema.text))
        body = BytesIO()
        fastavro.schemaless_writer(body, schema.parsed, record)
        example = {
            "schema": json.loads(schema.text),
            "value": base64.b64encode(MAGIC + schema.fingerprint + body.getvalue()).decode(),
            "record": as_json(record),
        }
        path = FOLDER / topic / f"{len(kept(topic)) + 1}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(example, indent=1, ensure_ascii=False) + "\n")
        written.append(path)
    return written


if __name__ == "__main__":
    for new in keep_missing():
        sys.stdout.write(f"{new.relative_to(FOLDER)}\n")
