"""The reference of records and topics: each topic with how it is kept, each record with its fields.

From the schemas as they lie in the topic of schemas, so that it holds for readers of any language.
"""

import json
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

from handbook.tables import code, plain, table
from schemas.topics import ALL, DEFAULT_PREFIX, Topic

Schema = dict[str, Any]
"""As Avro's JSON has it."""
_HOUR_MS = 3_600_000


def schemas() -> dict[str, Schema]:
    """The schema of each record, by its name, in the order of the topics."""
    there = [
        json.loads(file.read_text("utf-8"))
        for file in files("schemas").iterdir()
        if file.name.endswith(".avsc")
    ]
    by_name = {schema["name"]: schema for schema in there}
    ordered = [topic.record.__name__ for topic in ALL if topic.record.__name__ in by_name]
    return {name: by_name[name] for name in dict.fromkeys([*ordered, *sorted(by_name)])}


def topics_page() -> str:
    """The Markdown of all topics."""
    return table(
        ("topic", "record", "key", "partitions", "kept", "largest"), (_topic(topic) for topic in ALL)
    )


def records_page() -> str:
    """The Markdown of all records: one table of fields for each, then for what is inside of it."""
    return "\n\n".join(part for schema in schemas().values() for part in _record(schema))


def _topic(topic: Topic[Any]) -> tuple[str, ...]:
    record = topic.record.__name__
    shown = f"[{record}](records.md#{record.lower()})" if record in schemas() else "the schema as JSON"
    return (
        code(topic.name(DEFAULT_PREFIX)),
        shown,
        topic.key,
        _partitions(topic),
        _kept(topic),
        f"{int(topic.config['max.message.bytes']) >> 20} MiB",
    )


def _partitions(topic: Topic[Any]) -> str:
    if topic.per_frame:
        return "as asked"
    return "as asked at first" if topic.keyed else str(topic.partitions)


def _kept(topic: Topic[Any]) -> str:
    if topic.config["cleanup.policy"] == "compact":
        return "compacted"
    hours = int(topic.config["retention.ms"]) // _HOUR_MS
    for_long = f"{hours // 24} days" if hours > 24 else f"{hours} h"
    largest = topic.config.get("retention.bytes")
    return f"{for_long}, {int(largest) >> 30} GiB a partition at most" if largest else for_long


def _record(schema: Schema) -> Iterator[str]:
    topics = [code(topic.name(DEFAULT_PREFIX)) for topic in ALL if topic.record.__name__ == schema["name"]]
    inside: list[Schema] = []
    yield f"## {schema['name']}"
    yield plain(schema.get("doc", ""))
    yield f"In {', '.join(topics)}." if topics else "Within other records."
    yield _fields(schema, inside)
    for part in inside:  # grows while it is read
        if part["type"] == "record":
            yield f"**{part['name']}**: {plain(part.get('doc', ''))}"
            yield _fields(part, inside)
        else:
            meaning = f": {plain(part['doc'])}" if part.get("doc") else ""
            yield f"**{part['name']}**{meaning} One of {', '.join(code(one) for one in part['symbols'])}."


def _fields(schema: Schema, inside: list[Schema]) -> str:
    rows = []
    for field in schema["fields"]:
        default = code(json.dumps(field["default"])) if "default" in field else ""
        rows.append((code(field["name"]), _type(field["type"], inside), plain(field.get("doc", "")), default))
    return table(("field", "type", "meaning", "default"), rows)


def _type(kind: Any, inside: list[Schema]) -> str:  # noqa: ANN401, PLR0911 - Avro's: name, union or schema
    match kind:
        case str():
            return kind.rpartition(".")[2]
        case list():
            others = [_type(one, inside) for one in kind if one != "null"]
            return " or ".join(others) + (", or null" if "null" in kind else "")
        case {"type": "array", "items": items}:
            return f"list of {_type(items, inside)}"
        case {"type": "map", "values": values}:
            return f"map of {_type(values, inside)}"
        case {"type": "record" | "enum", "name": name}:
            inside.append(kind)
            return f"{name} (below)"
        case {"type": kind_of, "logicalType": logical}:
            return f"{kind_of} ({logical})"
        case {"type": kind_of}:
            return _type(kind_of, inside)
        case _:
            raise TypeError(f"{kind} is no Avro type that the reference knows")
