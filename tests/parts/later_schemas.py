"""Schemas of a version that is still to come."""

import json
from typing import Any

from schemas.codec import MAGIC, RecordSchema, encode, read_schema, schema_of


def grown(kind: type, name: str, type_: str, default: object) -> RecordSchema:
    """The schema of today's `kind` with one more field at its end."""
    schema: dict[str, Any] = json.loads(schema_of(kind).text)
    schema["fields"].append({"name": name, "type": type_, "default": default})
    return read_schema(json.dumps(schema))


def written_with(schema: RecordSchema, record: object) -> bytes:
    """A record as a writer of this schema writes it, whose one more field is a small number."""
    return MAGIC + schema.fingerprint + encode(record)[10:] + b"\x00"
