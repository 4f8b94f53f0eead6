import itertools
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framefuse.errors import BadInput
from framefuse.publishing.decisions import (
    Pacer,
    Thinner,
    checked_stream_id,
    distinct,
    emptiest,
    frame_id_for,
    murmur2,
    new_run_id,
    partition_of,
    stream_id_from,
)
from schemas.topics import valid_stream_id


@pytest.mark.parametrize("bad", ["a/b", "", "x" * 65, "straße", "a b", "unreadable", "a\n"])
def test_a_stream_id_that_no_key_can_be_is_refused_with_one_that_can(bad: str) -> None:
    with pytest.raises(BadInput, match="cannot be used") as refused:
        checked_stream_id(bad)
    offered = str(refused.value).rsplit("'", 2)[1]
    assert checked_stream_id(offered) == offered


@given(st.text(max_size=100))
def test_any_file_name_gives_a_valid_stream_id(name: str) -> None:
    assert valid_stream_id(stream_id_from(name))


def test_a_stream_id_resembles_its_file() -> None:
    assert stream_id_from("Gate camera (2)") == "Gate-camera-2"


def test_streams_of_one_name_are_told_apart() -> None:
    assert distinct(["a", "b", "a", "a", "a-2"]) == ["a", "b", "a-2", "a-3", "a-2-2"]


@given(st.lists(st.sampled_from(["a", "a-2", "b" * 64, "b" * 62 + "-2"]), max_size=12))
def test_distinct_ids_are_valid_and_distinct(names: list[str]) -> None:
    ids = distinct(names)
    assert len(set(ids)) == len(names)
    assert all(map(valid_stream_id, ids))


def test_the_same_key_in_the_same_stream_is_the_same_frame() -> None:
    assert frame_id_for("gate", "img-7") == frame_id_for("gate", "img-7")
    assert frame_id_for("gate", "img-7") != frame_id_for("yard", "img-7")
    assert uuid.UUID(frame_id_for("gate", "img-7")).version == 5


def test_frames_and_runs_without_a_key_sort_by_time() -> None:
    ids = [frame_id_for("gate") for _ in range(100)]
    assert ids == sorted(set(ids))
    runs = [new_run_id() for _ in range(100)]
    assert runs == sorted(set(runs))
    assert {uuid.UUID(run).version for run in runs} == {7}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("21", -973932308),
        ("foobar", -790332482),
        ("a-little-bit-long-string", -985981536),
        ("a-little-bit-longer-string", -1486304829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        ("abc", 479470107),
    ],
)
def test_the_hash_is_the_one_of_the_java_client(text: str, expected: int) -> None:
    assert murmur2(text.encode()) == expected & 0xFFFFFFFF


@given(st.binary(max_size=80), st.integers(1, 64))
def test_every_key_has_a_partition(key: bytes, partitions: int) -> None:
    assert 0 <= partition_of(key, partitions) < partitions


@given(st.floats(1, 120), st.floats(0.5, 60))
def test_thinning_is_even_and_never_too_much(source_fps: float, wanted_fps: float) -> None:
    thinner = Thinner(wanted_fps)
    kept = [number / source_fps for number in range(300) if thinner.keep(number / source_fps)]
    gaps = [later - earlier for earlier, later in itertools.pairwise(kept)]
    expected = min(source_fps, wanted_fps) * 299 / source_fps
    assert abs(len(kept) - expected) <= 2
    assert all(abs(gap - max(1 / wanted_fps, 1 / source_fps)) <= 1 / source_fps + 1e-6 for gap in gaps)


def test_thirty_to_ten_keeps_exactly_every_third() -> None:
    thinner = Thinner(10.0)
    assert [n for n in range(90) if thinner.keep(n / 30)] == list(range(0, 90, 3))


def test_without_a_rate_everything_is_kept() -> None:
    assert all(Thinner(None).keep(number / 100) for number in range(50))


def test_a_picture_is_due_when_its_time_has_come_since_the_first() -> None:
    pacer = Pacer()
    assert pacer.wait_s(2.0, now_s=100.0) == 0.0
    assert pacer.wait_s(2.5, now_s=100.1) == pytest.approx(0.4)
    assert pacer.wait_s(3.0, now_s=107.0) == 0.0


def test_a_new_stream_goes_where_the_fewest_streams_then_frames_are() -> None:
    assert emptiest([1, 0, 0, 0], {1: 5}, {2: 70, 3: 20}) == 3
    assert emptiest([0, 0], {0: 3, 1: 2}, {}) == 1
    assert emptiest([2, 2, 1], {2: 900}, {}) == 2
