"""Ids that come with a record end in file names, metrics and on terminals: only harmless ones pass."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framefuse.errors import UndecodableRecord
from framefuse.kafka import Message
from framefuse.runtime.intake import Intake, Taken
from schemas.codec import SchemaBook, encode
from schemas.records import UNREADABLE, Frame
from schemas.topics import valid_stream_id
from tests.unit.builders import a_frame

HOSTILE = ["../../etc/passwd", "", "a b", "a\x1b[2J", "gate\n", "ü", "a" * 65, "a/b", UNREADABLE]


def taken(frame: Frame) -> Taken[Frame]:
    message = Message("framefuse.frames", 0, 7, datetime.now(UTC), b"key", encode(frame))
    return Intake(Frame, SchemaBook(), lambda: None).take(message, received_s=0.0)


@pytest.mark.parametrize("stream_id", HOSTILE)
def test_a_frame_of_a_stream_that_could_not_be_published_is_a_dead_letter(stream_id: str) -> None:
    found = taken(replace(a_frame(), stream_id=stream_id))

    assert found.record is None
    assert found.refusal is not None
    assert isinstance(found.refusal.error, UndecodableRecord)
    assert found.origin.stream_id == UNREADABLE
    assert found.refusal.reason.isprintable()


@pytest.mark.parametrize("field", ["frame_id", "run_id"])
@pytest.mark.parametrize("value", ["../../x", "", "\x1b[2J"])
def test_a_frame_with_an_id_that_is_none_is_a_dead_letter(field: str, value: str) -> None:
    assert taken(replace(a_frame(), **{field: value})).record is None  # type: ignore[arg-type]


@pytest.mark.parametrize("field", ["sequence", "attempt", "freshness_ms"])
def test_a_frame_with_a_negative_number_is_a_dead_letter(field: str) -> None:
    found = taken(replace(a_frame(live=True), **{field: -1}))  # type: ignore[arg-type]
    assert found.refusal is not None
    assert isinstance(found.refusal.error, UndecodableRecord)


def test_a_frame_with_good_ids_passes() -> None:
    assert taken(a_frame("gate.1_b-C")).refusal is None


@given(st.text(max_size=70))
def test_what_passes_is_what_can_be_published(stream_id: str) -> None:
    passed = taken(replace(a_frame(), stream_id=stream_id)).record is not None

    assert passed == valid_stream_id(stream_id)
