"""Whatever bytes come from a topic, decoding them ends with a record or with `NotARecord`."""

import json
import struct
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import fastavro
import pytest
from fastavro.utils import generate_many
from hypothesis import given
from hypothesis import strategies as st

from framefuse.errors import Stop
from processors.join.log_merge import Limits, LogMerge
from schemas.codec import MAGIC, SCHEMA_FILES, NotARecord, SchemaBook, decode, encode, read_schema, schema_of
from schemas.heads import RECORD_OF, FusedHead, decode_head
from schemas.records import Fused, Head
from schemas.shape import from_plain
from schemas.summaries import FusedSummary, decode_summary
from tests.fuzz.mutations import broken, fuzz, texts
from tests.unit.builders import a_frame

EXAMPLES = Path(__file__).parents[2] / "schemas" / "examples"
KINDS = sorted(SCHEMA_FILES, key=lambda kind: kind.__name__)
BOOK = SchemaBook()
HEAD_BYTES = 10


def values(kind: type) -> list[bytes]:
    """Values as topics hold them: the examples of the schema, or one that the schema allows."""
    schema = schema_of(kind)
    made = [
        MAGIC + schema.fingerprint + _written(schema.parsed, record)
        for record in generate_many(schema.parsed, 3)
    ]
    return [encode(a_frame()), *made] if kind.__name__ == "Frame" else made


def _written(parsed: object, record: object) -> bytes:
    from io import BytesIO

    out = BytesIO()
    fastavro.schemaless_writer(out, parsed, record)  # type: ignore[arg-type]
    return out.getvalue()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_broken_value_is_a_record_or_none(kind: type) -> None:
    seeds = values(kind)

    @fuzz
    @given(st.one_of(broken(*seeds), broken(*seeds, spared=HEAD_BYTES)))
    def check(value: bytes) -> None:
        try:
            found: object = decode(value, kind, BOOK)
        except NotARecord:
            return
        assert isinstance(found, kind)

    check()


@pytest.mark.parametrize("head", RECORD_OF, ids=lambda head: head.__name__)
def test_a_broken_value_has_a_head_or_none(head: type) -> None:
    seeds = values(RECORD_OF[head])

    @fuzz
    @given(st.one_of(broken(*seeds), broken(*seeds, spared=HEAD_BYTES)))
    def check(value: bytes) -> None:
        try:
            found: object = decode_head(value, head, BOOK)
        except NotARecord:
            return
        assert isinstance(found, Head | FusedHead)

    check()


def test_a_broken_result_has_a_summary_or_none() -> None:
    seeds = values(Fused)

    @fuzz
    @given(st.one_of(broken(*seeds), broken(*seeds, spared=HEAD_BYTES)))
    def check(value: bytes) -> None:
        with suppress(NotARecord):
            assert isinstance(decode_summary(value, BOOK), FusedSummary)

    check()


SCHEMA_TEXTS = [schema_of(kind).text for kind in KINDS]


@fuzz
@given(texts(*SCHEMA_TEXTS))
def test_a_broken_schema_is_learned_or_refused(text: str) -> None:
    with suppress(NotARecord):
        SchemaBook().learn(text)


JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.sampled_from(
            ["null", "long", "bytes", "string", "record", "array", "map", "enum", "fixed", "Fused"]
        ),
        st.text(max_size=5),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.sampled_from(
                ["type", "name", "fields", "items", "values", "symbols", "size", "logicalType", "default"]
            ),
            inner,
            max_size=5,
        ),
    ),
    max_leaves=12,
)


@fuzz
@given(JSON)
def test_any_json_is_a_schema_or_none(raw: object) -> None:
    with suppress(NotARecord):
        read_schema(json.dumps(raw))


def test_a_schema_that_is_nested_too_deep_is_refused() -> None:
    with pytest.raises(NotARecord):
        read_schema("[" * 100_000)
    deep = '{"type":"array","items":' * 5000 + '"null"' + "}" * 5000
    with pytest.raises(NotARecord):
        read_schema(deep)


@pytest.mark.parametrize("count", [2**60, -(2**60), 2**31, -(2**31), 2**63 - 1, -(2**63)])
@pytest.mark.parametrize("after", [b"", b"\x02" * 20, struct.pack("<q", -1) * 4])
def test_a_list_that_claims_billions_of_items_is_refused_at_once(count: int, after: bytes) -> None:
    """Of `objects`, the first list of a Detections record, and of `missing`, of a Fused one."""
    for kind, field in ((k, f) for k, f in _LISTS):
        schema = schema_of(kind)
        (record,) = generate_many(schema.parsed, 1)
        before = json.loads(schema.text)
        names = [part["name"] for part in before["fields"]]
        cut = {**before, "fields": before["fields"][: names.index(field)]}
        value = (
            MAGIC + schema.fingerprint + _written(fastavro.parse_schema(cut), record) + _long(count) + after
        )
        begun_s = time.process_time()

        with pytest.raises(NotARecord):
            decode(value, kind, BOOK)

        assert time.process_time() - begun_s < 5, "it was refused, but only after it had been believed"


_LISTS = [
    (kind, part["name"])
    for kind in KINDS
    for part in json.loads(schema_of(kind).text)["fields"]
    if isinstance(part["type"], dict) and part["type"].get("type") == "array"
]


def _long(number: int) -> bytes:
    """Avro's zigzag, seven bits a byte."""
    rest = (number << 1) ^ (number >> 63)
    out = bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


NOTHINGS: Mapping[str, object] = {
    "null": "null",
    "record": {"type": "record", "name": "Nothing", "fields": []},
    "record of nulls": {"type": "record", "name": "N", "fields": [{"name": "n", "type": "null"}]},
    "fixed": {"type": "fixed", "name": "F", "size": 0},
}


@pytest.mark.parametrize("items", NOTHINGS.values(), ids=NOTHINGS)
def test_a_schema_of_nothings_that_would_be_counted_for_ever_is_not_learned(items: object) -> None:
    """2⁴⁰ of them take six bytes."""
    with pytest.raises(NotARecord, match="items that take no bytes"):
        SchemaBook().learn(with_field({"type": "array", "items": items}))


def test_a_schema_of_a_type_within_itself_is_not_learned() -> None:
    """One byte a level: a value of some megabytes ended the process, beyond its stack."""
    with pytest.raises(NotARecord, match="holds itself"):
        SchemaBook().learn(with_field(["null", "framefuse.Fused"]))


@pytest.mark.parametrize("schema", ['"string"', "[]", '["null"]', '{"type": "array", "items": "long"}'])
def test_a_schema_of_no_record_is_not_learned(schema: str) -> None:
    with pytest.raises(NotARecord):
        SchemaBook().learn(schema)


def with_field(kind: object) -> str:
    raw = json.loads(schema_of(Fused).text)
    raw["fields"].insert(0, {"name": "more", "type": kind})
    return json.dumps(raw)


@fuzz
@given(st.text(max_size=30) | st.integers().map(str))
def test_a_note_is_a_frame_offset_or_not_ours(note: str) -> None:
    merge = LogMerge(["detections", "depth"], lambda decision: decision.origin, limits=Limits())
    with suppress(Stop):
        merge.assigned(0, [note], {"detections": 0, "depth": 0})


def test_plain_values_of_the_wrong_kind_never_become_a_record() -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        from_plain(Fused)({})
