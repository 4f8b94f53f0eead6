"""Reads the head of a record and stops there, for whoever counts frames and needs no picture and no map.

The head is what each record starts with, so the bytes after it are never looked at: a record that is broken
further on passes here. Knows no Kafka.
"""

import json
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, TypeVar, cast

import fastavro

from schemas.codec import NotARecord, SchemaBook, opened, schema_of
from schemas.records import Depth, Derived, Detections, Frame, Fused, Head, Missing, Outcome, Status
from schemas.shape import from_plain

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class FusedHead(Derived):
    """Which frame, and how it ended."""

    outcome: Outcome
    missing: tuple[Missing, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionsHead(Derived):
    """Which frame, and whether detection had a result."""

    status: Status


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthHead(Derived):
    """Which frame, and whether depth had a result."""

    status: Status


RECORD_OF: Mapping[Any, Any] = {
    FusedHead: Fused,
    DetectionsHead: Detections,
    DepthHead: Depth,
    Head: Frame,
}
"""The record that each head begins."""


def decode_head(value: bytes | None, kind: type[T], book: SchemaBook) -> T:
    """The head of type `kind` (a key of `RECORD_OF`) in a value, whoever wrote it.

    Raises:
        UnknownSchema: nobody has published the schema it names.
        NotARecord: it is empty, not single-object Avro, another record type, or broken within its head.
    """
    head: Any = kind
    reader = schema_of(RECORD_OF[head])
    writer, body = opened(value, reader.name, book)
    try:
        beginning = _beginning(writer.text, head)
        # Resolving what needs none takes longer than all the rest.
        wanted = None if writer.fingerprint == reader.fingerprint else _beginning(reader.text, head)
        fields_by_name = fastavro.schemaless_reader(body, beginning, wanted)
        return cast(T, from_plain(head)(fields_by_name))
    except Exception as error:  # fastavro raises whatever the broken bytes led to
        raise NotARecord(f"head does not follow {writer.name}: {type(error).__name__}: {error}") from error


@cache
def _beginning(text: str, kind: Hashable) -> Any:  # noqa: ANN401 - what fastavro parsed
    """The schema `text`, cut after the last field that `kind` needs."""
    names = {part.name for part in fields(cast(Any, kind))}
    raw = json.loads(text)
    last = max(at for at, part in enumerate(raw["fields"]) if part["name"] in names)
    return fastavro.parse_schema({**raw, "fields": raw["fields"][: last + 1]})
