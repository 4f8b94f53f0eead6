"""Declaring streams: what a declaration may say, what a file becomes, and where a stream is put."""

from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framefuse.errors import BadInput
from framefuse.kafka import Message
from framefuse.streams.credentials import LiteralCredential
from framefuse.streams.declaring import (
    changes,
    declaration,
    differences,
    emptiest_first,
    read_config,
    without,
)
from framefuse.streams.reading import latest_states, merged
from framefuse.streams.registry import collected
from schemas.codec import SchemaBook, encode
from schemas.records import State, Stream, StreamState
from tests.unit.builders import START

GATE = declaration("gate", "rtsp://viewer:${GATE}@10.0.0.11/live", fps=10)
YARD = declaration("yard", "camera:0")
BOOK = SchemaBook()


def a_record(key: str, value: object | None, *, partition: int = 0, second: int = 0) -> Message:
    at = START + timedelta(seconds=second)
    return Message("t", partition, second, at, key.encode(), None if value is None else encode(value))


def a_state(state: State, ended: str | None = None) -> StreamState:
    return StreamState(
        stream_id="gate",
        run_id="r",
        state=state,
        published=1,
        dropped=0,
        rejected=0,
        ended=ended,
        updated_at=START,
    )


def test_files_are_files_and_all_else_is_live() -> None:
    assert not declaration("a", "film.mp4").live
    assert declaration("a", "film.mp4").source == str(Path("film.mp4").absolute())
    assert declaration("a", "film.mp4", live=True).live
    assert not declaration("a", "synthetic:", live=False).live
    assert all(declaration("a", url).live for url in ("camera:0", "rtsp://host/", "synthetic:?seed=1"))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"stream_id": "a/b"}, "try 'a-b'"),
        ({"url": ""}, "url is empty"),
        ({"fps": 0.0}, "fps 0, expected a number above 0"),
        ({"fps": float("nan")}, "fps nan"),
        ({"freshness_ms": 0}, "freshness 0"),
        ({"partition": -1}, "partition -1"),
    ],
)
def test_what_cannot_be_is_refused(more: dict[str, object], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        declaration(**{"stream_id": "a", "url": "camera:0", **more})  # type: ignore[arg-type]


def test_a_configuration_becomes_streams() -> None:
    text = """
streams:
  - id: 12
    url: rtsp://viewer:${GATE}@10.0.0.11/live
    fps: 7.5
    freshness: 400
    partition: 3
  - {id: tour, url: /videos/tour.mp4, live: true}
"""
    assert read_config(text, "streams.yaml") == [
        declaration("12", "rtsp://viewer:${GATE}@10.0.0.11/live", fps=7.5, freshness_ms=400, partition=3),
        declaration("tour", "/videos/tour.mp4", live=True),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "f.yaml: expected 'streams:'"),
        ("cameras: []", "line 1: found 'cameras'"),
        ("streams:\n  - id: [", "line 2: no YAML"),
        ("streams:\n  - gate", "line 2: expected 'id: …'"),
        ("streams:\n  - id: gate", "line 2: a stream without 'url'"),
        (
            "streams:\n  - id: gate\n    url: camera:0\n    fsp: 3",
            "line 4: no field 'fsp', there are id, url, fps",
        ),
        ("streams:\n  - id: gate\n    url: camera:0\n    fps: many", "line 4: fps 'many', expected a number"),
        ("streams:\n  - id: gate\n    url: camera:0\n    fps: -2", "line 2, stream gate: fps -2"),
        (
            "streams:\n  - id: gate\n    url: camera:0\n    live: 1",
            "line 4: live '1', expected true or false",
        ),
        (
            "streams:\n  - id: a\n    url: camera:0\n  - id: a\n    url: camera:1",
            "line 4: stream a comes again",
        ),
        ("streams:\n  - id: a\n    id: b\n    url: camera:0", "line 3: 'id' comes twice"),
        ("streams:\n  - id: a b\n    url: camera:0", "line 2, stream a b: .*try 'a-b'"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_refused_with_its_line(text: str, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        read_config(text, "f.yaml")


def test_a_literal_password_in_a_configuration_is_refused_by_line_without_repeating_it() -> None:
    with pytest.raises(LiteralCredential, match=r"line 2, stream gate: .*literal credential") as refused:
        read_config("streams:\n  - id: gate\n    url: rtsp://a:s3cr3t@host/", "f.yaml")
    assert "s3cr3t" not in str(refused.value)


def test_only_what_differs_is_written() -> None:
    slower = declaration("gate", GATE.source, fps=5)
    new = declaration("new", "camera:1")
    found = changes({"gate": GATE, "yard": YARD, "old": YARD}, [slower, YARD, new], prune=False)
    assert (found.added, found.changed, found.removed) == ([new], [slower], ())
    assert (found.left, found.unchanged) == (["old"], ["yard"])
    assert changes({"old": YARD}, [], prune=True).removed == ["old"]
    assert not changes({"yard": YARD}, [YARD], prune=True)
    assert differences(GATE, slower) == [("fps", 10.0, 5.0)]


def test_removing_what_is_not_declared_removes_nothing_and_offers_what_is() -> None:
    with pytest.raises(BadInput, match="did you mean 'gate'"):
        without({"gate": GATE, "yard": YARD}, ["yard", "gat"])
    assert without({"gate": GATE, "yard": YARD}, ["yard", "yard"]).removed == ["yard"]


@given(st.integers(1, 40), st.integers(0, 100))
def test_streams_are_put_where_the_fewest_are(partitions: int, streams: int) -> None:
    held = [0] * partitions
    for _ in range(streams):
        held[emptiest_first(held)] += 1
    assert max(held) - min(held) <= 1


@pytest.mark.parametrize("streams", range(2, 13))
def test_few_streams_halve_however_twelve_partitions_are_cut(streams: int) -> None:
    held = [0] * 12
    for _ in range(streams):
        held[emptiest_first(held)] += 1
    for halves in ([number // 6 for number in range(12)], [number % 2 for number in range(12)]):
        shares = Counter(half for half, count in zip(halves, held, strict=True) if count)
        assert abs(shares[0] - shares[1]) <= 1


def test_the_latest_record_of_a_stream_counts_and_older_copies_are_known() -> None:
    found = collected(
        [
            a_record("gate", YARD, partition=3, second=1),
            a_record("yard", YARD, partition=2, second=2),
            a_record("yard", None, partition=2, second=3),
            a_record("gate", GATE, partition=5, second=4),
            Message("t", 1, 0, START, b"odd", b"no record"),
        ],
        BOOK,
    )
    assert set(found) == {"gate"}
    assert (found["gate"].stream, found["gate"].partition, found["gate"].again_on) == (GATE, 5, (3,))


def test_rows_have_what_is_declared_and_what_is_published() -> None:
    reported = latest_states(
        [
            a_record("gate", a_state(State.STARTING)),
            a_record("gate", a_state(State.RUNNING)),
            a_record("gone", a_state(State.ENDED, "removed")),
            a_record("adhoc", a_state(State.RUNNING)),
        ],
        BOOK,
    )
    declared: dict[str, Stream] = {"gate": GATE, "yard": YARD}
    rows = merged(declared, reported)
    assert [row.stream_id for row in rows] == ["adhoc", "gate", "yard"]
    assert [row.reported.state.state if row.reported else None for row in rows] == [
        State.RUNNING,
        State.RUNNING,
        None,
    ]
    assert "gone" in [row.stream_id for row in merged(declared, reported, every=True)]
