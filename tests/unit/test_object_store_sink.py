"""The object-store sink on a local folder: files, footers, positions, and files that were there already."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from framefuse.errors import Retry, Stop
from framefuse.types import Output, Partition, SinkContext
from schemas.records import Fused
from sinks.object_store import ObjectStoreSink
from sinks.parquet import read_footer
from sinks.result_store import open_results
from tests.parts.results import (
    CONTEXT,
    FRAMES_ID,
    FUSED_ID,
    Group,
    GroupPositions,
    a_fused,
    an_output,
    outputs,
)
from tests.unit.builders import START

FUSED_0 = Partition("framefuse.fused", 0)


def a_sink(folder: Path, context: SinkContext = CONTEXT) -> ObjectStoreSink:
    return ObjectStoreSink(open_results(str(folder)), context)


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def frames(folder: Path) -> list[int]:
    return [
        row["frame"]["offset"]
        for path in sorted(folder.rglob("*.parquet"))
        for row in pq.ParquetFile(path).read(columns=["frame"]).to_pylist()
    ]


def a_name(first: int, day: str = "2026-03-01") -> str:
    return f"date={day}/{FRAMES_ID}-0-{first:020d}.parquet"


def test_a_batch_becomes_one_file_named_by_its_first_frame_and_is_committed(tmp_path: Path) -> None:
    group = Group()
    assert a_sink(tmp_path).write(outputs(3, 9), GroupPositions(group, 11)) is None
    assert files(tmp_path) == [a_name(3)]
    assert frames(tmp_path) == list(range(3, 10))
    assert group.commits == [11]


def test_the_footer_says_which_topics_which_frames_and_where_to_go_on(tmp_path: Path) -> None:
    batch = [an_output(a_fused(5), 8), an_output(a_fused(6), 9)]
    a_sink(tmp_path).write(batch, GroupPositions(Group(), 12))
    footer = read_footer((tmp_path / a_name(5)).read_bytes())
    assert (footer.frames_topic_id, footer.fused_topic_id, footer.partition) == (FRAMES_ID, FUSED_ID, 0)
    assert (footer.first_frame_offset, footer.last_frame_offset, footer.fused_next_offset) == (5, 6, 10)


def test_a_file_ends_where_the_utc_day_of_the_append_changes(tmp_path: Path) -> None:
    midnight = datetime(2026, 3, 2, tzinfo=UTC)
    batch = [
        an_output(a_fused(offset, appended_at=midnight + timedelta(seconds=offset - 2)))
        for offset in range(4)
    ]
    group = Group()
    a_sink(tmp_path).write(batch, GroupPositions(group, 4))
    assert files(tmp_path) == [a_name(0), a_name(2, "2026-03-02")]
    assert group.commits == [2, 4]


def test_a_writer_killed_before_its_commit_leaves_a_file_that_the_next_one_goes_on_after(
    tmp_path: Path,
) -> None:
    with pytest.raises(Retry):
        a_sink(tmp_path).write(outputs(0, 9), GroupPositions(Group(), 10, fenced=True))
    group = Group()
    assert a_sink(tmp_path).write(outputs(0, 5), GroupPositions(group, 6)) == {FUSED_0: 10}
    assert group.committed == 10
    assert files(tmp_path) == [a_name(0)]


def test_what_a_longer_batch_has_beyond_a_file_that_is_there_goes_into_the_next_file(tmp_path: Path) -> None:
    a_sink(tmp_path).write(outputs(0, 4), GroupPositions(Group(), 5))
    group = Group()
    assert a_sink(tmp_path).write(outputs(0, 9), GroupPositions(group, 11)) is None
    assert files(tmp_path) == [a_name(0), a_name(5)]
    assert frames(tmp_path) == list(range(10))
    assert group.commits == [5, 11]


def test_a_group_whose_offsets_were_lost_never_writes_into_the_middle_of_a_file(tmp_path: Path) -> None:
    a_sink(tmp_path).write(outputs(0, 9), GroupPositions(Group(), 10))
    assert a_sink(tmp_path).write(outputs(4, 7), GroupPositions(Group(), 8)) == {FUSED_0: 10}
    assert frames(tmp_path) == list(range(10))


def test_a_gap_between_files_is_filled_up_to_the_next_file(tmp_path: Path) -> None:
    a_sink(tmp_path).write(outputs(6, 9), GroupPositions(Group(), 10))
    group = Group()
    assert a_sink(tmp_path).write(outputs(0, 7), GroupPositions(group, 8)) == {FUSED_0: 10}
    assert files(tmp_path) == [a_name(0), a_name(6)]
    assert frames(tmp_path) == list(range(10))


def test_frames_that_fused_repeats_are_kept_once(tmp_path: Path) -> None:
    repeated = [an_output(a_fused(offset), 100 + offset) for offset in (2, 3, 4)]
    group = Group()
    sink = a_sink(tmp_path)
    sink.write(outputs(0, 4), GroupPositions(group, 5))
    assert sink.write(repeated, GroupPositions(group, 105)) is None
    assert frames(tmp_path) == list(range(5))
    assert group.committed == 105


def test_a_batch_that_repeats_frames_is_cut_and_keeps_each_once(tmp_path: Path) -> None:
    repeated = [an_output(a_fused(offset), 10 + offset) for offset in (2, 3, 4, 5)]
    group = Group()
    assert a_sink(tmp_path).write([*outputs(0, 4), *repeated], GroupPositions(group, 16)) is None
    assert frames(tmp_path) == list(range(6))
    assert group.committed == 16


def test_a_clock_that_stepped_back_over_midnight_hides_no_file(tmp_path: Path) -> None:
    before_midnight, sink = START.replace(hour=23), a_sink(tmp_path)
    next_day = [an_output(a_fused(0, appended_at=before_midnight + timedelta(hours=1)))]
    same_day = [an_output(a_fused(offset, appended_at=before_midnight)) for offset in (1, 2, 3)]
    sink.write(next_day, GroupPositions(Group(), 1))
    a_sink(tmp_path).write(same_day, GroupPositions(Group(), 4))
    sink.write(same_day[1:], GroupPositions(Group(), 4))
    assert sorted(frames(tmp_path)) == [0, 1, 2, 3]


def test_a_file_written_from_another_fused_topic_stops_the_worker(tmp_path: Path) -> None:
    a_sink(tmp_path).write(outputs(0, 4), GroupPositions(Group(), 5))
    made_anew = replace(CONTEXT, topic_ids={**CONTEXT.topic_ids, "framefuse.fused": "another"})
    with pytest.raises(Stop, match=f"id {FUSED_ID}, now it is another, made anew: move the old results"):
        a_sink(tmp_path, made_anew).write(outputs(0, 4), GroupPositions(Group(), 5))


def test_results_of_a_frames_topic_made_anew_stand_beside_the_old_ones(tmp_path: Path) -> None:
    a_sink(tmp_path).write(outputs(0, 4), GroupPositions(Group(), 5))
    made_anew = replace(CONTEXT, topic_ids={**CONTEXT.topic_ids, "framefuse.frames": "another"})
    a_sink(tmp_path, made_anew).write(outputs(0, 2), GroupPositions(Group(), 3))
    assert len(files(tmp_path)) == 2


@pytest.mark.parametrize(
    "content", [b"", b"not parquet at all", b"PAR1" * 9], ids=["empty", "text", "broken"]
)
def test_a_file_of_ours_that_is_damaged_stops_the_worker_and_is_named(tmp_path: Path, content: bytes) -> None:
    damaged = tmp_path / a_name(0)
    damaged.parent.mkdir()
    damaged.write_bytes(content)
    with pytest.raises(Stop, match=r"00000000000000000000\.parquet is not a result file of ours"):
        a_sink(tmp_path).write(outputs(0, 2), GroupPositions(Group(), 3))
    assert damaged.read_bytes() == content


def test_a_renamed_file_stops_the_worker(tmp_path: Path) -> None:
    a_sink(tmp_path).write(outputs(0, 2), GroupPositions(Group(), 3))
    (tmp_path / a_name(0)).rename((tmp_path / a_name(0)).with_name(f"{FRAMES_ID}-1-{0:020d}.parquet"))
    batch = [replace(output, partition=1) for output in outputs(0, 2)]
    with pytest.raises(Stop, match="was renamed"):
        a_sink(tmp_path).write(batch, PartitionOne(Group(), 3))


class PartitionOne(GroupPositions):
    """Positions of another partition."""

    @property
    def offsets(self) -> dict[Partition, int]:
        return {Partition("framefuse.fused", 1): self.next_offset}


@pytest.mark.parametrize("topic_id", ["../../etc", "a/b", "", "x" * 65, "a+b=="])
def test_a_topic_id_that_is_no_file_name_is_refused(tmp_path: Path, topic_id: str) -> None:
    context = replace(CONTEXT, topic_ids={**CONTEXT.topic_ids, "framefuse.frames": topic_id})
    with pytest.raises(Stop, match="cannot name a file"):
        a_sink(tmp_path, context)


def test_other_files_in_the_folder_are_left_alone(tmp_path: Path) -> None:
    stranger = tmp_path / "date=2026-03-01" / f"{FRAMES_ID}-0-notes.parquet"
    stranger.parent.mkdir()
    stranger.write_text("mine")
    a_sink(tmp_path).write(outputs(0, 2), GroupPositions(Group(), 3))
    assert stranger.read_text() == "mine"
    assert len(files(tmp_path)) == 2


def test_a_batch_of_letters_only_moves_the_position_and_makes_no_file(tmp_path: Path) -> None:
    group = Group()
    poison: Output[Fused] = Output(None, 0, 7, START, b"gate")
    a_sink(tmp_path).write([poison], GroupPositions(group, 8))
    assert (group.committed, files(tmp_path)) == (8, [])
