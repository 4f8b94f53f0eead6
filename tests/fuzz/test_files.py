"""Whatever stands in a file or an argument, reading it ends with what it says or with an error of ours."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framefuse.cli.moments import moment
from framefuse.dead_letters.cases import LetterId, offsets
from framefuse.errors import BadInput, Stop
from framefuse.settings import KafkaSettings, load
from framefuse.streams.declaring import read_config
from sinks.parquet import NotAResultFile, encode, read_footer
from sinks.result_files import TOPIC_ID, Footer, Series
from tests.fuzz.mutations import broken, fuzz, texts
from tests.parts.results import FRAMES_ID, FUSED_ID, a_fused
from tests.unit.builders import START

FILE = encode([a_fused(3)], Footer(FRAMES_ID, FUSED_ID, 0, 3, 3, 4))
STREAMS = "streams:\n  - id: gate\n    url: rtsp://viewer:${PASS}@10.0.0.1/a\n    fps: 10\n    live: true\n"


@fuzz
@given(broken(FILE, FILE[-3000:]))
def test_a_broken_footer_is_read_or_is_none_of_ours(end: bytes) -> None:
    try:
        footer = read_footer(end)
    except NotAResultFile:
        return
    assert isinstance(footer, Footer)


@fuzz
@given(texts(STREAMS))
def test_a_broken_declaration_of_streams_is_read_or_refused(text: str) -> None:
    with suppress(BadInput):
        read_config(text, "streams.yaml")


@fuzz
@given(st.one_of(texts("bootstrap: kafka:9092\npassword: x\n").map(str.encode), st.binary(max_size=80)))
def test_a_broken_settings_file_is_read_or_refused(content: bytes) -> None:
    from framefuse import settings

    file = Path("framefuse.yaml")
    assert file == settings.SETTINGS_FILE
    file.write_bytes(content)
    with suppress(BadInput):
        load(KafkaSettings)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


DIGITS = st.text("0123456789-:mhd \u0663", max_size=30) | st.integers(4000, 6000).map(lambda n: "9" * n)


@fuzz
@given(texts("57", "2:57", "57-90", "10m", "2026-03-01T12:00") | DIGITS)
def test_what_names_letters_is_understood_or_refused(text: str) -> None:
    for read in (LetterId.parse, offsets, lambda text: moment(text, START)):
        with suppress(BadInput):
            read(text)


@fuzz
@given(st.text(max_size=70), st.integers(0, 2**31), st.integers(0, 2**63 - 1), st.dates())
def test_an_object_key_holds_only_a_checked_id_and_numbers(
    topic_id: str, partition: int, first: int, day: object
) -> None:
    try:
        series = Series(topic_id, partition)
    except Stop:
        assert not TOPIC_ID.fullmatch(topic_id)
        return
    key = series.key(day, first)  # type: ignore[arg-type]
    assert key.count("/") == 1
    assert ".." not in key
    assert key.isascii()
    assert key.isprintable()
    assert series.first_frame_offset(key) == first


def test_no_name_that_comes_with_a_record_is_part_of_an_object_key() -> None:
    hostile = Series(FRAMES_ID, 0)

    assert hostile.first_frame_offset("date=2026-03-01/../../etc/passwd") is None
