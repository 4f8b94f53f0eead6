"""Records of every version, read by this one, and of this one, read by every version."""

import base64
import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro
import pytest

from schemas.codec import PREFIX_BYTES, SchemaBook, decode, schema_of, to_dict
from schemas.records import Depth, Fused
from schemas.topics import ALL, SCHEMAS
from tests.parts.schema_growth import as_json, kept, schema_in, today, what_breaks

TOPICS = sorted(today())
EXAMPLES = [path for topic in TOPICS for path in kept(topic)]
KINDS: dict[str, Any] = {topic.suffix: topic.record for topic in ALL if topic is not SCHEMAS}


def _id(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


@pytest.mark.parametrize("topic", TOPICS)
def test_what_this_version_writes_is_kept_as_an_example(topic: str) -> None:
    known = {schema_in(path).fingerprint for path in kept(topic)}
    assert today()[topic].fingerprint in known, "run: python -m tests.parts.schema_growth"


@pytest.mark.parametrize("path", EXAMPLES, ids=_id)
def test_what_any_version_wrote_is_read_with_all_that_it_said(path: Path) -> None:
    example, book = json.loads(path.read_text()), SchemaBook()
    book.learn(json.dumps(example["schema"]))
    record = decode(base64.b64decode(example["value"]), KINDS[path.parent.name], book)
    assert_says(as_json(to_dict(record)), example["record"], path.parent.name)


@pytest.mark.parametrize("path", EXAMPLES, ids=_id)
def test_what_this_version_writes_is_read_by_a_worker_of_any_version(path: Path) -> None:
    schema = schema_in(path)
    newest = kept(path.parent.name)[-1]
    body = BytesIO(base64.b64decode(json.loads(newest.read_text())["value"])[PREFIX_BYTES:])
    read: Any = fastavro.schemaless_reader(body, schema_in(newest).parsed, schema.parsed)
    assert set(read) == {field["name"] for field in schema.parsed["fields"]}
    assert_says(json.loads(newest.read_text())["record"], as_json(read), path.parent.name)


@pytest.mark.parametrize("path", EXAMPLES, ids=_id)
def test_no_change_since_any_version_breaks_a_reader(path: Path) -> None:
    then, now = json.loads(schema_in(path).text), json.loads(today()[path.parent.name].text)
    assert what_breaks(then, now) == []


def field_of(schema: Any, name: str) -> Any:  # noqa: ANN401 - JSON
    return next(field for field in schema["fields"] if field["name"] == name)


def rename(schema: Any) -> None:  # noqa: ANN401
    field_of(schema, "objects")["name"] = "things"


def remove(schema: Any) -> None:  # noqa: ANN401
    schema["fields"].remove(field_of(schema, "fused_at"))


def retype(schema: Any) -> None:  # noqa: ANN401
    field_of(schema, "width")["type"] = "string"


def narrow(schema: Any) -> None:  # noqa: ANN401
    field_of(schema, "sequence")["type"] = "int"


def require(schema: Any) -> None:  # noqa: ANN401
    schema["fields"].append({"name": "weather", "type": "string"})


def deep(schema: Any) -> None:  # noqa: ANN401
    del field_of(schema, "map")["type"][1]["fields"][0]


def forget(schema: Any) -> None:  # noqa: ANN401
    field_of(schema, "outcome")["type"]["symbols"].remove("LOST")


def never_null(schema: Any) -> None:  # noqa: ANN401
    field_of(schema, "map")["type"].remove("null")


UNWRITTEN = "not written, and the reader has no default"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (rename, "now reading then: Fused.objects: no longer read"),
        (remove, f"then reading now: Fused.fused_at: {UNWRITTEN}"),
        (retype, "now reading then: Fused.width: int became string"),
        (narrow, "now reading then: Fused.sequence: long became int"),
        (require, f"now reading then: Fused.weather: {UNWRITTEN}"),
        (deep, f"then reading now: Fused.map.encoding: {UNWRITTEN}"),
        (forget, "now reading then: Fused.outcome: LOST unknown to the reader"),
        (never_null, "now reading then: Fused.map: null is none of ['record']"),
    ],
    ids=lambda part: getattr(part, "__name__", ""),
)
def test_a_change_that_breaks_readers_is_found_and_its_field_named(
    change: Callable[[Any], None], said: str
) -> None:
    before, after = json.loads(schema_of(Fused).text), json.loads(schema_of(Fused).text)
    change(after)
    assert said in what_breaks(before, after)


@pytest.mark.parametrize("change", [retype, require, narrow], ids=lambda change: change.__name__)
def test_what_is_said_to_break_readers_is_refused_by_a_reader_of_avro(change: Callable[[Any], None]) -> None:
    after = json.loads(schema_of(Fused).text)
    change(after)
    newest = json.loads(kept("fused")[-1].read_text())
    body = BytesIO(base64.b64decode(newest["value"])[PREFIX_BYTES:])
    with pytest.raises(fastavro.read.SchemaResolutionError):
        fastavro.schemaless_reader(body, newest["schema"], fastavro.parse_schema(after))


def test_a_field_with_a_default_breaks_nobody() -> None:
    before, after = json.loads(schema_of(Depth).text), json.loads(schema_of(Depth).text)
    after["fields"].insert(3, {"name": "weather", "type": ["null", "string"], "default": None})
    assert what_breaks(before, after) == []


def assert_says(found: Any, said: Any, path: str) -> None:  # noqa: ANN401 - JSON
    """`found` has everything that `said` has, and may have more fields."""
    if isinstance(said, dict):
        for name, value in said.items():
            assert_says(found[name], value, f"{path}.{name}")
    elif isinstance(said, list):
        assert len(found) == len(said), path
        for at, value in enumerate(said):
            assert_says(found[at], value, f"{path}[{at}]")
    else:
        assert found == said, path
