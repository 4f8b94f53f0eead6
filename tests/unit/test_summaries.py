"""Reading a result without its depth map."""

from dataclasses import replace
from io import BytesIO

import fastavro
import numpy as np
import pytest

from schemas.codec import (
    MAGIC,
    NotARecord,
    SchemaBook,
    UnknownSchema,
    encode,
    to_dict,
)
from schemas.records import Fused
from schemas.summaries import decode_summary, summary_of
from tests.parts.later_schemas import grown
from tests.parts.results import a_fused, an_expired
from tests.unit.builders import a_frame, a_map

BOOK = SchemaBook()
LARGE = a_map(np.random.default_rng(1).random((200, 300), np.float32) + 1)


@pytest.mark.parametrize(
    "fused",
    [
        a_fused(7),
        a_fused(8, labels=()),
        a_fused(9, labels=("car",) * 20, depth_map=LARGE),
        replace(a_fused(10), map=None),
        an_expired(11),
    ],
    ids=["small map", "no objects", "large map", "no map", "expired"],
)
def test_the_summary_is_what_the_whole_record_says(fused: Fused) -> None:
    assert decode_summary(encode(fused), BOOK) == summary_of(fused)


def test_the_map_is_not_looked_at() -> None:
    value = bytearray(encode(a_fused(7, depth_map=LARGE)))
    begin = bytes(value).index(LARGE.data)
    value[begin : begin + len(LARGE.data)] = bytes(len(LARGE.data))

    assert decode_summary(bytes(value), BOOK) == summary_of(a_fused(7, depth_map=LARGE))


def test_a_writer_of_another_age_is_understood() -> None:
    schema = grown(Fused, "added_later", "string", "")
    out = BytesIO()
    fastavro.schemaless_writer(out, schema.parsed, {**to_dict(a_fused(7)), "added_later": "news"})
    value = MAGIC + schema.fingerprint + out.getvalue()
    book = SchemaBook()

    with pytest.raises(UnknownSchema):
        decode_summary(value, book)
    book.learn(schema.text)
    assert decode_summary(value, book) == summary_of(a_fused(7))


VALUE = encode(a_fused(7, depth_map=LARGE))


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (None, "empty"),
        (b"{}", "not single-object Avro: starts with 7b7d, expected c301$"),
        (b"\x00\x00\x00\x00\x07" + bytes(9), r"expected c301; Confluent's wire format\? framefuse reads"),
        (encode(a_frame()), "holds a framefuse.Frame, expected a framefuse.Fused"),
        (VALUE[:60], "does not follow framefuse.Fused"),
        (
            VALUE[: VALUE.index(LARGE.data) + 100],
            rf"a depth map of {len(LARGE.data)} bytes, where 100 follow",
        ),
        (VALUE + b"\x00", "1 bytes follow the record"),
    ],
)
def test_what_is_no_whole_result_is_refused_and_says_why(value: bytes | None, why: str) -> None:
    with pytest.raises(NotARecord, match=why):
        decode_summary(value, BOOK)
