"""Reading the head of a record without the rest."""

import json
from dataclasses import replace

import pytest

from schemas.codec import MAGIC, NotARecord, SchemaBook, UnknownSchema, encode, read_schema, schema_of
from schemas.heads import FusedHead, decode_head
from schemas.records import Frame, Fused, Head, Outcome
from tests.parts.results import a_fused
from tests.unit.builders import a_frame

BOOK = SchemaBook()


def test_the_head_of_a_fused_record_says_which_frame_and_how_it_ended() -> None:
    fused = replace(a_fused(7), outcome=Outcome.PARTIAL)

    head = decode_head(encode(fused), FusedHead, BOOK)

    assert head == FusedHead(**fused.head(), outcome=Outcome.PARTIAL)


def test_the_head_of_a_frame_is_read_without_its_picture() -> None:
    frame = a_frame("gate", 3, image=b"x" * 1000)

    head = decode_head(encode(frame)[:-900], Head, BOOK)

    assert (head.stream_id, head.sequence) == ("gate", 3)


def test_a_writer_of_another_age_is_understood() -> None:
    raw = json.loads(schema_of(Fused).text)
    raw["fields"].insert(0, {"name": "site", "type": "string", "default": ""})
    other = read_schema(json.dumps(raw))
    book = SchemaBook()
    book.learn(other.text)
    fused = a_fused(7)
    site = b"\x08east"

    head = decode_head(MAGIC + other.fingerprint + site + encode(fused)[10:], FusedHead, book)

    assert head == FusedHead(**fused.head(), outcome=Outcome.FUSED)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (None, "empty"),
        (b"{}", "not single-object Avro"),
        (encode(a_frame()), "holds a framefuse.Frame, expected a framefuse.Fused"),
        (encode(a_fused(1))[:60], "head does not follow framefuse.Fused"),
    ],
)
def test_what_has_no_readable_head_is_refused_and_says_why(value: bytes | None, why: str) -> None:
    with pytest.raises(NotARecord, match=why):
        decode_head(value, FusedHead, BOOK)


def test_an_unknown_schema_is_named() -> None:
    with pytest.raises(UnknownSchema, match="0102030405060708"):
        decode_head(MAGIC + bytes(range(1, 9)) + b"?", Head, BOOK)


def test_every_head_is_the_beginning_of_its_record() -> None:
    for kind, record in ((FusedHead, Fused), (Head, Frame)):
        names = set(kind.__dataclass_fields__)
        fields = [part["name"] for part in schema_of(record).parsed["fields"]]
        assert set(fields[: len(names)]) == names
