"""The wire format: single-object Avro that any reader of any age and language can decode."""

import json
from contextlib import suppress
from dataclasses import fields
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import codec
from schemas.codec import (
    MAGIC,
    SCHEMA_FILES,
    NotARecord,
    SchemaBook,
    UnknownSchema,
    decode,
    encode,
    schema_of,
    to_dict,
)
from schemas.records import Detections, Frame, Fused
from tests.parts.later_schemas import grown
from tests.parts.results import a_fused
from tests.unit.builders import a_frame, an_object, detections_of


@pytest.fixture
def book() -> SchemaBook:
    return SchemaBook()


@pytest.mark.parametrize("kind", SCHEMA_FILES, ids=lambda kind: kind.__name__)
def test_a_record_class_has_the_fields_of_its_schema(kind: Any) -> None:  # noqa: ANN401
    assert {field.name for field in fields(kind)} == {
        field["name"] for field in schema_of(kind).parsed["fields"]
    }


@pytest.mark.parametrize(
    "record", [a_frame(), detections_of(3, objects=[an_object()]), a_fused(7)], ids=lambda r: type(r).__name__
)
def test_what_was_encoded_is_decoded_again(record: Frame | Detections | Fused, book: SchemaBook) -> None:
    assert decode(encode(record), type(record), book) == record


def test_the_fingerprint_is_the_one_of_the_avro_specification() -> None:
    # From the specification's own test data (share/test/data/schema-tests.txt): "int", 0x7275d51a3f395c8f.
    assert codec.read_schema('"int"').fingerprint == 0x7275D51A3F395C8F.to_bytes(8, "little")


def test_a_reader_that_shares_no_code_with_us_reads_the_value() -> None:
    value = encode(a_fused(7))
    schema = json.loads((Path(codec.__file__).parent / "fused.avsc").read_text())
    row: Any = fastavro.schemaless_reader(BytesIO(value[10:]), schema, None)

    assert value[:2] == MAGIC
    assert row["frame"]["offset"] == 7
    assert isinstance(row["fused_at"], datetime)


def test_an_old_reader_passes_over_the_fields_of_a_newer_writer(book: SchemaBook) -> None:
    schema = grown(Fused, "added_later", "string", "")
    out = BytesIO()
    fastavro.schemaless_writer(out, schema.parsed, {**to_dict(a_fused(7)), "added_later": "news"})
    value = MAGIC + schema.fingerprint + out.getvalue()

    with pytest.raises(UnknownSchema):
        decode(value, Fused, book)
    book.learn(schema.text)
    assert decode(value, Fused, book) == a_fused(7)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "empty"),
        (b"", "empty"),
        (b"\x00\x01\x02", "starts with 0001"),
        (MAGIC + b"\x00" * 4, "starts with c301"),
        (MAGIC + b"\x42" * 8, "fingerprint 4242424242424242 is unknown"),
        (encode(a_frame()), "holds a framefuse.Frame, expected a framefuse.Fused"),
        (encode(a_fused(1))[:-3], "does not follow framefuse.Fused"),
        (encode(a_fused(1)) + b"\x00", "1 bytes follow"),
    ],
)
def test_what_is_no_record_is_refused_with_what_was_found(
    value: bytes | None, message: str, book: SchemaBook
) -> None:
    with pytest.raises(NotARecord, match=message):
        decode(value, Fused, book)


@given(position=st.integers(10, 200), flip=st.integers(1, 255))
def test_a_flipped_bit_is_decoded_or_refused_but_never_breaks_the_reader(position: int, flip: int) -> None:
    value = bytearray(encode(detections_of(3, objects=[an_object()])))
    value[position % len(value)] ^= flip
    with suppress(NotARecord):
        decode(bytes(value), Detections, SchemaBook())


@given(st.binary(max_size=200))
def test_random_bytes_after_a_known_fingerprint_never_break_the_reader(body: bytes) -> None:
    with suppress(NotARecord):
        decode(MAGIC + schema_of(Frame).fingerprint + body, Frame, SchemaBook())
