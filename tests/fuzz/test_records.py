"""Whatever bytes come from a topic, decoding them ends with a record or with `NotARecord`."""

import json
import struct
import time
from collections.abc import Mapping, Sequence
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


_WORDS = (
    *("type", "name", "fields", "items", "values", "symbols", "size", "default", "namespace", "aliases"),
    *("logicalType", "precision", "scale", "__fastavro_parsed", "__named_schemas"),
)
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
            st.sampled_from(_WORDS),
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
    with pytest.raises(NotARecord, match=r"takes? no bytes"):
        SchemaBook().learn(with_field({"type": "array", "items": items}))


@pytest.mark.parametrize("size", [-1, -(2**60), "12", None, 0.5, True, [1]], ids=repr)
def test_a_fixed_of_no_possible_size_is_not_learned(size: object) -> None:
    """Of −1 it took fewer bytes than none, so a list of them was learned, and 15 bytes made 2⁶⁰ of them."""
    kind = {"type": "fixed", "name": "F", "size": size}
    for field in (kind, {"type": "array", "items": kind}):
        with pytest.raises(NotARecord, match="bytes"):
            SchemaBook().learn(with_field(field))


def doubling(levels: int) -> list[object]:
    """Types that each hold the one before ten times, down to one that takes no bytes: fields of a record."""
    first = {"type": "record", "name": "R0", "fields": [{"name": "n", "type": "null"}]}
    return [["null", first], *(["null", holding(level, 10)] for level in range(1, levels))]


def chained(levels: int) -> list[object]:
    """The same, but each holds the one before once, and the first takes a byte."""
    first = {"type": "record", "name": "R0", "fields": [{"name": "n", "type": "int"}]}
    return [["null", first], *(["null", holding(level, 1)] for level in range(1, levels))]


def holding(level: int, times: int) -> object:
    fields = [{"name": f"f{number}", "type": f"framefuse.R{level - 1}"} for number in range(times)]
    return {"type": "record", "name": f"R{level}", "fields": fields}


@pytest.mark.parametrize(
    ("fields", "why"), [(doubling(30), "no bytes"), (chained(1_000), "deep")], ids=["doubling", "chained"]
)
def test_a_schema_whose_types_grow_with_those_before_them_is_not_learned(
    fields: list[object], why: str
) -> None:
    """Reading 10³⁰ nulls takes no byte and no end; 100,000 types within one another ended the process."""
    with pytest.raises(NotARecord, match=why):
        SchemaBook().learn(with_field(a_record(fields)))


def test_a_schema_that_says_it_is_parsed_already_is_not_learned() -> None:
    """Its types were taken from where it said so, unseen: one within itself, items without bytes."""
    raw = json.loads(with_field({"type": "array", "items": "X"}))
    named = {"X": {"type": "fixed", "name": "X", "size": 0}}
    every: list[dict[str, object]] = [
        {"__fastavro_parsed": True, "__named_schemas": named},
        {"__fastavro_parsed": True},
        {"__named_schemas": named},
    ]
    for marks in every:
        with pytest.raises(NotARecord, match="mark"):
            SchemaBook().learn(json.dumps({**raw, "name": "framefuse.Fused", **marks}))


@pytest.mark.parametrize("precision", [1, 10**9, 0, -1, "5", None])
def test_a_schema_of_decimals_is_not_learned(precision: object) -> None:
    """Of 0.4 MB one took half a minute, and four times as much sixteen times as long."""
    for kind in ({"type": "bytes"}, {"type": "fixed", "name": "F", "size": 2_000_000}):
        with pytest.raises(NotARecord):
            SchemaBook().learn(with_field({**kind, "logicalType": "decimal", "precision": precision}))


MISSHAPEN: Mapping[str, object] = {
    "no type": {},
    "type null": {"type": None},
    "type number": {"type": 5},
    "type list": {"type": ["null", "int"]},
    "type within type": {"type": {"type": "array", "items": "int"}},
    "unknown type": "framefuse.Nowhere",
    "request": {"type": "request", "name": "R", "fields": []},
    "null": None,
    "number": 5,
    "no items": {"type": "array"},
    "items null": {"type": "array", "items": None},
    "items number": {"type": "array", "items": 5},
    "items empty": {"type": "array", "items": {}},
    "no values": {"type": "map"},
    "values null": {"type": "map", "values": None},
    "no symbols": {"type": "enum", "name": "E"},
    "symbols number": {"type": "enum", "name": "E", "symbols": 5},
    "symbols twice": {"type": "enum", "name": "E", "symbols": ["A", "A"]},
    "no size": {"type": "fixed", "name": "F"},
    "no name": {"type": "fixed", "size": 1},
    "name number": {"type": "fixed", "name": 5, "size": 1},
    "name null": {"type": "record", "name": None, "fields": []},
    "fields number": {"type": "record", "name": "R", "fields": 5},
    "fields by name": {"type": "record", "name": "R", "fields": {"a": "int"}},
    "field of no type": {"type": "record", "name": "R", "fields": [{"name": "a"}]},
    "field of no name": {"type": "record", "name": "R", "fields": [{"type": "int"}]},
    "aliases text": {"type": "record", "name": "R", "fields": [{"name": "a", "type": "int", "aliases": "b"}]},
    "default": {"type": "record", "name": "R", "fields": [{"name": "a", "type": "int", "default": "x"}]},
    "name twice": [{"type": "fixed", "name": "F", "size": 1}, {"type": "fixed", "name": "F", "size": 2}],
    "our name": {"type": "fixed", "name": "Fused", "size": 1},
}


@pytest.mark.parametrize("kind", MISSHAPEN.values(), ids=MISSHAPEN)
def test_a_misshapen_type_is_refused_and_nothing_else_happens(kind: object) -> None:
    """Whoever reads the topic of schemas reads all of it, at every start."""
    with pytest.raises(NotARecord):
        SchemaBook().learn(with_field(kind))


UNUSUAL: Mapping[str, object] = {
    "a huge enum": {"type": "enum", "name": "E", "symbols": [f"S{number}" for number in range(30_000)]},
    "a wide record": {
        "type": "record",
        "name": "W",
        "fields": [{"name": f"f{number}", "type": "int"} for number in range(10_000)],
    },
    "a wide union": [{"type": "fixed", "name": f"F{number}", "size": 1} for number in range(10_000)],
    "an empty union": [],
    "two fields of a name": {
        "type": "record",
        "name": "R",
        "fields": [{"name": "a", "type": "int"}, {"name": "a", "type": "string"}],
    },
    "a name of a primitive": {
        "type": "record",
        "name": "R",
        "fields": [
            {"name": "a", "type": {"type": "fixed", "name": "long", "size": 1}},
            {"name": "b", "type": {"type": "array", "items": "long"}},
        ],
    },
    "a fixed beyond all memory": {"type": "fixed", "name": "F", "size": 2**70},
    "a name that is a list": {"type": "fixed", "name": ["F"], "size": 1},
    "an unknown logical type": {"type": "int", "logicalType": "x"},
    "lists of lists": {
        "type": "array",
        "items": {"type": "array", "items": {"type": "array", "items": "int"}},
    },
}


@pytest.mark.parametrize("kind", UNUSUAL.values(), ids=UNUSUAL)
def test_an_unusual_schema_is_read_with_or_refused_at_once(kind: object) -> None:
    check_reading(
        with_field(kind), [b"", b"\x00" * 10_000, b"\x02" * 10_000, _long(2**60) * 3, _long(-1) * 20]
    )


@fuzz
@given(JSON, st.lists(st.binary(max_size=40), max_size=3))
def test_any_json_as_a_type_is_read_with_or_refused_at_once(kind: object, bodies: list[bytes]) -> None:
    check_reading(with_field(kind), [_long(2**60) * 2, *bodies])


def check_reading(text: str, bodies: Sequence[bytes]) -> None:
    """Learn it, or refuse it; what was learned reads these or refuses them."""
    book, begun_s = SchemaBook(), time.process_time()
    try:
        book.learn(text)
    except NotARecord:
        return
    digest = read_schema(text).fingerprint
    for body in bodies:
        with suppress(NotARecord):
            assert isinstance(decode(MAGIC + digest + body, Fused, book), Fused)
        with suppress(NotARecord):
            assert isinstance(decode_head(MAGIC + digest + body, FusedHead, book), FusedHead)
    assert time.process_time() - begun_s < 5, "it ended, but only after it had been believed"


def test_a_schema_of_a_type_within_itself_is_not_learned() -> None:
    """One byte a level: a value of some megabytes ended the process, beyond its stack."""
    with pytest.raises(NotARecord, match="holds itself"):
        SchemaBook().learn(with_field(["null", "framefuse.Fused"]))


@pytest.mark.parametrize("schema", ['"string"', "[]", '["null"]', '{"type": "array", "items": "long"}'])
def test_a_schema_of_no_record_is_not_learned(schema: str) -> None:
    with pytest.raises(NotARecord):
        SchemaBook().learn(schema)


def a_record(kinds: Sequence[object]) -> object:
    fields = [{"name": f"d{number}", "type": kind} for number, kind in enumerate(kinds)]
    return {"type": "record", "name": "Held", "fields": fields}


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
