"""Reads a result without its depth map, for whoever wants to know what was seen and how far away.

The bytes of the map are passed over where they lie: fastavro itself would copy them, even to drop them. Knows
no Kafka.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from io import SEEK_CUR, BytesIO
from typing import Any, cast

import fastavro

from schemas.codec import NotARecord, SchemaBook, decode, opened, schema_of
from schemas.records import Derived, Fused, Missing, ObjectDepth, Outcome
from schemas.shape import from_plain

_LONG = fastavro.parse_schema("long")


@dataclass(frozen=True, slots=True)
class SeenObject:
    """What was seen, and how far away."""

    label: str
    depth: ObjectDepth | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FusedSummary(Derived):
    """The one outcome of one frame; of its map, only in which unit it tells depths."""

    outcome: Outcome
    missing: tuple[Missing, ...]
    objects: tuple[SeenObject, ...]
    unit: str
    """Of the depths; empty where there is no map, or depths are relative."""
    fused_at: datetime


def summary_of(fused: Fused) -> FusedSummary:
    """The summary of a result that is known whole."""
    return FusedSummary(
        **fused.head(),
        outcome=fused.outcome,
        missing=fused.missing,
        objects=tuple(SeenObject(one.label, one.depth) for one in fused.objects),
        unit=fused.map.unit if fused.map else "",
        fused_at=fused.fused_at,
    )


def decode_summary(value: bytes | None, book: SchemaBook) -> FusedSummary:
    """The summary of a value of `fused`, whoever wrote it.

    Raises:
        UnknownSchema: nobody has published the schema it names.
        NotARecord: it is empty, not single-object Avro, another record type, or broken.
    """
    ours = schema_of(Fused)
    writer, body = opened(value, ours.name, book)
    if writer.fingerprint != ours.fingerprint:
        return summary_of(decode(value, Fused, book))
    try:
        found: Any = _read(body, len(value or b""), _cuts())
        return cast(FusedSummary, from_plain(FusedSummary)(found))
    except NotARecord:
        raise
    except Exception as error:  # fastavro raises whatever the broken bytes led to
        raise NotARecord(f"does not follow {writer.name}: {type(error).__name__}: {error}") from error


@dataclass(frozen=True, slots=True)
class _Cuts:
    """Our schema of a result, cut before and after the bytes of its map; as fastavro parsed them."""

    until_data: Any
    rest_of_map: Any
    after_map: Any


def _read(body: BytesIO, end: int, cuts: _Cuts) -> dict[str, Any]:
    found: dict[str, Any] = cast(Any, fastavro.schemaless_reader(body, cuts.until_data, None))
    depth_map = found["map"]
    if depth_map is not None:
        size = cast(int, fastavro.schemaless_reader(body, _LONG, None))
        rest = end - body.tell()
        if not 0 <= size <= rest:
            raise NotARecord(f"a depth map of {size} bytes, where {rest} follow")
        body.seek(size, SEEK_CUR)
        fastavro.schemaless_reader(body, cuts.rest_of_map, None)
    found |= cast(Any, fastavro.schemaless_reader(body, cuts.after_map, None))
    if left := end - body.tell():
        raise NotARecord(f"{left} bytes follow the record")
    found["unit"] = "" if depth_map is None else depth_map["unit"]
    return found


@cache
def _cuts() -> _Cuts:
    raw = json.loads(schema_of(Fused).text)
    at = next(number for number, part in enumerate(raw["fields"]) if part["name"] == "map")
    (_, depth_map) = raw["fields"][at]["type"]
    names = [part["name"] for part in depth_map["fields"]]
    data = names.index("data")
    before, rest = depth_map["fields"][:data], depth_map["fields"][data + 1 :]
    depth_map["fields"] = before
    return _Cuts(
        fastavro.parse_schema({**raw, "fields": raw["fields"][: at + 1]}),
        fastavro.parse_schema({**depth_map, "fields": rest}),
        fastavro.parse_schema({**raw, "fields": raw["fields"][at + 1 :]}),
    )
