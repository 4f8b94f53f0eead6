"""Avro single-object encoding of the records, and nothing of Kafka.

Wire format (Avro 1.11, "Single-object encoding"): bytes C3 01, then the CRC-64-AVRO fingerprint of the
writer's schema in parsing canonical form (8 bytes, little-endian), then the Avro binary body. A reader finds
the writer's schema by its fingerprint (`SchemaBook`) and resolves it to its own, so that readers and writers
of different age understand each other.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from io import BytesIO
from typing import Any, TypeVar, cast

import fastavro
from fastavro.schema import fingerprint, parse_schema, to_parsing_canonical_form

from schemas import records, statistics
from schemas.bounded import Unbounded, check_bounded
from schemas.shape import from_plain, to_plain

T = TypeVar("T")
MAGIC = b"\xc3\x01"
PREFIX_BYTES = len(MAGIC) + 8
_PARSED_MARKS = {"__fastavro_parsed", "__named_schemas"}
"""A schema with these fastavro takes for one that it has parsed, with named types that nobody sees."""

SCHEMA_FILES: Mapping[Any, str] = {
    records.Frame: "frame",
    records.Detections: "detections",
    records.Depth: "depth",
    records.Fused: "fused",
    records.DeadLetter: "dead_letter",
    records.Stream: "stream",
    records.StreamState: "stream_state",
    statistics.Statistics: "statistics",
    statistics.StatisticsEvent: "statistics_event",
    statistics.StatisticsRow: "statistics_row",
}


class NotARecord(ValueError):
    """A value that is not single-object Avro, or does not follow the schema it names."""


class UnknownSchema(NotARecord):
    """A value whose schema fingerprint nobody has published."""

    def __init__(self, fingerprint_hex: str) -> None:
        super().__init__(
            f"schema fingerprint {fingerprint_hex} is unknown: is its writer newer than the topic of schemas?"
        )
        self.fingerprint_hex = fingerprint_hex


@dataclass(frozen=True, slots=True)
class RecordSchema:
    """One record type with its parsed Avro schema."""

    text: str
    parsed: Any
    fingerprint: bytes

    @property
    def name(self) -> str:
        """Full Avro name, e.g. `framefuse.Fused`."""
        return cast(str, self.parsed["name"])


def read_schema(text: str) -> RecordSchema:
    """Parse the JSON of an Avro schema.

    Raises:
        NotARecord: it is not JSON, or not an Avro schema.
    """
    try:
        raw = json.loads(text)
        if isinstance(raw, dict) and raw.keys() & _PARSED_MARKS:
            raise ValueError(f"it has a mark of a parser: one of {', '.join(sorted(_PARSED_MARKS))}")
        digest = fingerprint(to_parsing_canonical_form(raw), "CRC-64-AVRO")
        return RecordSchema(text, parse_schema(raw), bytes.fromhex(digest))
    except Exception as error:  # the parser raises whatever a broken schema led to
        raise NotARecord(f"not an Avro schema: {type(error).__name__}: {error}") from error


@cache
def schema_of(kind: Any) -> RecordSchema:  # noqa: ANN401 - a record class; mypy takes none for hashable
    """The schema that this version of framefuse writes for a record type."""
    text = resources.files("schemas").joinpath(f"{SCHEMA_FILES[kind]}.avsc").read_text(encoding="utf-8")
    return read_schema(text)


class SchemaBook:
    """Schemas by fingerprint: ours from the start, others as they are learned."""

    def __init__(self) -> None:
        ours = [schema_of(kind) for kind in SCHEMA_FILES]
        self._by_fingerprint = {schema.fingerprint: schema for schema in ours}

    def learn(self, text: str) -> None:
        """Take in a schema that another writer published.

        Raises:
            NotARecord: it is not the Avro schema of a record, or not safe to read with.
        """
        schema = read_schema(text)
        try:
            check_bounded(schema.parsed)
        except Unbounded as error:
            raise NotARecord(f"not a schema to read with: {error}") from None
        except Exception as error:  # the parser lets through what is none
            raise NotARecord(f"not an Avro schema: {type(error).__name__}: {error}") from error
        self._by_fingerprint.setdefault(schema.fingerprint, schema)

    def __getitem__(self, digest: bytes) -> RecordSchema:
        try:
            return self._by_fingerprint[digest]
        except KeyError:
            raise UnknownSchema(digest.hex()) from None


def encode(record: object) -> bytes:
    """One record dataclass as single-object Avro.

    Raises:
        ValueError: a field does not fit its schema.
    """
    kind: Any = type(record)
    schema = schema_of(kind)
    out = BytesIO()
    out.write(MAGIC)
    out.write(schema.fingerprint)
    fastavro.schemaless_writer(out, schema.parsed, to_plain(kind)(record))
    return out.getvalue()


def opened(value: bytes | None, name: str, book: SchemaBook) -> tuple[RecordSchema, BytesIO]:
    """The schema that a value was written with, and its body, ready to be read.

    Args:
        value: of a Kafka record.
        name: full Avro name of the record that is expected.
        book: schemas by fingerprint.

    Raises:
        UnknownSchema: nobody has published the schema it names.
        NotARecord: it is empty, not single-object Avro, or another record type.
    """
    if not value:
        raise NotARecord("the value is empty")
    if value[:2] != MAGIC or len(value) < PREFIX_BYTES:
        other = "; Confluent's wire format? framefuse reads single-object Avro" if value[0] == 0 else ""
        raise NotARecord(f"not single-object Avro: starts with {value[:2].hex()}, expected c301{other}")
    writer = book[value[2:PREFIX_BYTES]]
    if writer.name != name:
        raise NotARecord(f"holds a {writer.name}, expected a {name}")
    body = BytesIO(value)
    body.seek(PREFIX_BYTES)
    return writer, body


def decode(value: bytes | None, kind: type[T], book: SchemaBook) -> T:
    """The record of type `kind` in a value, whoever wrote it.

    Raises:
        UnknownSchema: nobody has published the schema it names.
        NotARecord: it is empty, not single-object Avro, another record type, or truncated.
    """
    reader = schema_of(cast(Any, kind))
    writer, body = opened(value, reader.name, book)
    try:
        if writer.fingerprint == reader.fingerprint:
            fields_by_name = fastavro.schemaless_reader(body, writer.parsed, None)
        else:
            fields_by_name = fastavro.schemaless_reader(body, writer.parsed, reader.parsed)
        if rest := body.read():
            raise NotARecord(f"{len(rest)} bytes follow the record")
        return cast(T, from_plain(cast(Any, kind))(fields_by_name))
    except NotARecord:
        raise
    except Exception as error:  # fastavro raises whatever the broken bytes led to
        raise NotARecord(f"does not follow {writer.name}: {type(error).__name__}: {error}") from error


def decode_of_any_age(
    value: bytes | None,
    kind: type[T],
    book: SchemaBook,
    refresh: Callable[[], None],
    *,
    by: Callable[[bytes | None, type[T], SchemaBook], T] = decode,
) -> T:
    """The record of type `kind` in a value whose schema may have been announced since the book was filled.

    Args:
        value: of a Kafka record.
        kind: the record type, or its head.
        book: schemas by fingerprint.
        refresh: reads the topic of schemas again into `book`; called when a fingerprint is unknown.
        by: `decode`, or `decode_head` where the head is enough.

    Raises:
        NotARecord: it is none, or nobody has announced its schema.
    """
    try:
        return by(value, kind, book)
    except UnknownSchema:
        refresh()
        return by(value, kind, book)


def to_dict(record: object) -> dict[str, Any]:
    """A record as plain dicts, lists and scalars, with the names of its schema."""
    kind: Any = type(record)
    return cast(dict[str, Any], to_plain(kind)(record))
