"""Subscribing to results, and watching them, on the real broker."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import sleep

import cv2
import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from framefuse.broker.home import RunningBroker
from framefuse.cli.watch import watch
from framefuse.errors import BadInput
from framefuse.pictures.video import VideoReader
from framefuse.results.frame_pictures import FramePictures
from framefuse.results.standing import Look, frames_to_come
from framefuse.results.subscribing import ResultSubscriber, Start
from framefuse.types import Image
from schemas.records import FrameRef, Fused
from tests.parts.logs import Logs, of_stream
from tests.parts.results import a_fused
from tests.unit.builders import a_frame

pytestmark = pytest.mark.broker


@pytest.fixture
def logs(broker: RunningBroker, topic_prefix: str) -> Iterator[Logs]:
    with Logs(broker.bootstrap, topic_prefix) as logs:
        yield logs


def taken(results: ResultSubscriber, *, quiet_s: float = 1.0, first_s: float = 15.0) -> list[int]:
    """The frame offsets of what comes, until nothing does."""
    found: list[int] = []
    while (fused := results.get(quiet_s if found else first_s)) is not None:
        found.append(fused.frame.offset)
    return found


def run(logs: Logs, *arguments: str) -> Result:
    app = typer.Typer()
    app.command()(watch)
    assert logs.kafka.bootstrap
    where = ["--bootstrap", logs.kafka.bootstrap, "--prefix", logs.kafka.prefix]
    return CliRunner().invoke(app, [*arguments, *where])


def a_picture(seed: int) -> Image:
    return np.full((48, 64, 3), 40 * seed, np.uint8)


def a_jpeg(seed: int) -> bytes:
    return cv2.imencode(".jpg", a_picture(seed))[1].tobytes()


def test_from_the_beginning_come_all_results_that_were_committed(logs: Logs) -> None:
    logs.fuse([0, 1])
    logs.fuse([2, 3], commit=False)
    logs.fuse([2])

    with ResultSubscriber(start=Start.BEGINNING, settings=logs.kafka) as results:
        assert taken(results) == [0, 1, 2]


def test_from_now_come_only_new_results(logs: Logs) -> None:
    logs.fuse([0, 1])

    with ResultSubscriber(settings=logs.kafka) as results:
        logs.fuse([2, 3])
        assert taken(results) == [2, 3]


def test_from_a_moment_come_its_results_and_later_ones(logs: Logs) -> None:
    logs.fuse([0, 1])
    sleep(0.3)
    moment = datetime.now(UTC)
    sleep(0.1)
    logs.fuse([2, 3])

    with ResultSubscriber(start=moment, settings=logs.kafka) as results:
        assert taken(results) == [2, 3]
    with ResultSubscriber(start=moment + timedelta(hours=1), settings=logs.kafka) as results:
        logs.fuse([4])
        assert taken(results) == [4]


def test_results_of_other_streams_and_what_cannot_be_decoded_are_left_out(logs: Logs) -> None:
    logs.append([b"not Avro"])
    logs.fuse([of_stream(a_fused(0), "yard"), a_fused(1), of_stream(a_fused(2), "zoo")])

    with ResultSubscriber(streams="gate", start=Start.BEGINNING, settings=logs.kafka) as results:
        assert taken(results) == [1]
        assert results.unreadable == 1


def test_a_group_goes_on_where_it_was(logs: Logs) -> None:
    logs.fuse(range(5))
    with ResultSubscriber(group=f"{logs.kafka.prefix}-mine", settings=logs.kafka) as results:
        first = [results.get(15.0) for _ in range(3)]
    with ResultSubscriber(group=f"{logs.kafka.prefix}-mine", settings=logs.kafka) as results:
        rest = taken(results)

    assert [one.frame.offset for one in first if one] == [0, 1, 2]
    assert rest == [3, 4]


def test_a_group_is_given_again_what_failed_in_the_middle(logs: Logs) -> None:
    logs.fuse(range(3))

    def fail_at_the_second() -> None:
        with ResultSubscriber(group=f"{logs.kafka.prefix}-mine", settings=logs.kafka) as results:
            for fused in results:
                if fused.frame.offset == 1:
                    raise RuntimeError("the user's own")

    with pytest.raises(RuntimeError):
        fail_at_the_second()
    with ResultSubscriber(group=f"{logs.kafka.prefix}-mine", settings=logs.kafka) as results:
        assert taken(results) == [1, 2]


def test_a_start_that_cannot_be_meant_is_refused(logs: Logs) -> None:
    with pytest.raises(BadInput, match="either start or group"):
        ResultSubscriber(start=Start.NOW, group="mine", settings=logs.kafka)
    with pytest.raises(BadInput, match="no timezone"):
        ResultSubscriber(start=datetime(2026, 1, 1), settings=logs.kafka)


def test_json_lines_are_results_without_the_bytes_of_their_map(logs: Logs) -> None:
    logs.fuse([of_stream(a_fused(0), "yard"), 1, 2])

    result = run(logs, "--from-start", "--json", "--stream", "gate", "--limit", "2")

    assert result.exit_code == 0, result.output
    told = [json.loads(text) for text in result.stdout.splitlines()]
    assert [one["frame"]["offset"] for one in told] == [1, 2]
    assert told[0]["objects"][0]["depth"]["median"] == 2.5
    assert "data" not in told[0]["map"]


def test_piped_it_prints_one_line_a_result(logs: Logs) -> None:
    logs.fuse([0, 1])

    result = run(logs, "--from-start", "--limit", "2")

    assert [text.split(" ", 1)[1].split("  ")[0][:13] for text in result.stdout.splitlines()] == [
        "gate #0 fused",
        "gate #1 fused",
    ]


def test_a_stream_without_a_result_is_told_of_beside_those_that_are_there(
    logs: Logs,
) -> None:
    logs.fuse([0])
    assert logs.kafka.bootstrap
    script = "import typer, framefuse.cli.watch as w; w._SILENCE_S = 0.5; typer.run(w.watch)"
    where = ["--bootstrap", logs.kafka.bootstrap, "--prefix", logs.kafka.prefix]
    command = [sys.executable, "-c", script, "--stream", "gaet", "--from-start", *where]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr
        said = child.stderr.readline()
        child.terminate()
    assert said == (
        f"no result of stream gaet in {logs.kafka.prefix}.fused yet, waiting; the streams here: gate\n"
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_watch_ends_cleanly_with_130(logs: Logs, number: signal.Signals) -> None:
    logs.fuse([0])
    assert logs.kafka.bootstrap
    script = "from framefuse.cli.watch import watch; import typer; typer.run(watch)"
    where = ["--bootstrap", logs.kafka.bootstrap, "--prefix", logs.kafka.prefix]
    child = subprocess.Popen(
        [sys.executable, "-c", script, "--from-start", *where], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert child.stdout
    assert b"gate #0 fused" in child.stdout.readline()
    child.send_signal(number)
    _, errors = child.communicate(timeout=20)

    assert child.returncode == 130
    assert b"Traceback" not in errors


def test_a_film_shows_each_frame_whose_picture_is_still_there(logs: Logs, tmp_path: Path) -> None:
    logs.publish([a_frame("gate", n, image=a_jpeg(n), width=64, height=48) for n in range(5)])
    logs.retain(logs.frames, 1)
    logs.fuse([_plain(a_fused(n), logs) for n in range(5)])

    result = run(
        logs, "--from-start", "--stream", "gate", "--limit", "5", "--save", str(tmp_path / "gate.mp4")
    )

    assert result.exit_code == 0, result.output
    with VideoReader(tmp_path / "gate.mp4") as film:
        pictures = [timed.image for timed in film.frames()]
    assert len(pictures) == 4
    assert "gone or unreadable: 1" in result.stderr
    # A picture beside its depth map, below a line of text; frame 1 is darker than frame 4.
    assert pictures[0].shape[1] == 128
    assert pictures[0][-5:, :20].mean() < pictures[3][-5:, :20].mean()


def test_pictures_are_found_in_any_order(logs: Logs) -> None:
    logs.publish([a_frame("gate", n, image=a_jpeg(n)) for n in range(4)])
    logs.publish([a_frame("yard", n, image=a_jpeg(n)) for n in range(2)], partition=1)
    pictures = FramePictures(logs.kafka)

    places = [(0, 0), (0, 1), (1, 1), (0, 3), (0, 2), (0, 2)]
    found = [pictures.get(_place(offset, partition, logs)) for partition, offset in places]
    pictures.close()

    assert [None if one is None else round(int(one[0, 0, 0]) / 40) for one in found] == [0, 1, 1, 3, 2, 2]


def test_there_is_no_picture_of_what_the_log_does_not_hold(logs: Logs) -> None:
    logs.publish([a_frame("gate", n, image=a_jpeg(n)) for n in range(2)])
    logs.retain(logs.frames, 2)
    pictures = FramePictures(logs.kafka)

    assert [pictures.get(_place(offset, 0, logs)) for offset in (1, 0, 2)] == [None] * 3
    logs.publish([a_frame("gate", 2, image=a_jpeg(2))])
    assert pictures.get(_place(2, 0, logs)) is not None
    pictures.close()


def test_a_film_needs_a_stream(logs: Logs) -> None:
    assert isinstance(run(logs, "--save", "x.mp4").exception, BadInput)


def test_what_comes_next_is_known_from_the_end_of_the_log(logs: Logs) -> None:
    logs.fuse([0, 1])
    logs.fuse([2])
    logs.fuse([3], commit=False)

    assert frames_to_come(logs.kafka) == {0: 3}


def test_a_look_says_how_far_each_stage_is_behind(logs: Logs) -> None:
    logs.publish([a_frame("gate", n) for n in range(7)])

    look = Look(logs.kafka)
    standing = look.take()
    look.close()

    assert standing.frames == {0: (0, 7), 1: (0, 0)}
    assert [(one.stage, one.workers, one.behind) for one in standing.stages][:2] == [
        ("detection", 0, None),
        ("depth", 0, None),
    ]


def _place(offset: int, partition: int, logs: Logs) -> FrameRef:
    return replace(a_fused(offset, partition=partition).frame, topic=logs.frames)


def _plain(fused: Fused, logs: Logs) -> Fused:
    return replace(fused, width=64, height=48, objects=(), frame=replace(fused.frame, topic=logs.frames))
