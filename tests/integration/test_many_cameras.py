"""Publishers of cameras as real processes: they share, take over, let go, and never tell a secret."""

import re
import signal
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from framefuse.broker.home import RunningBroker
from framefuse.kafka import Admin, Reader
from framefuse.settings import KafkaSettings
from framefuse.streams.declaring import Changes, changes, declaration, without
from framefuse.streams.reading import Reported, reported_states
from framefuse.streams.registry import StreamRegistry
from schemas.codec import SchemaBook, decode
from schemas.records import Frame, State, Stream
from schemas.topics import ALL, FRAMES, STREAM_STATES, STREAMS
from tests.parts.pipeline import Pipeline, a_pipeline
from tests.parts.waiting import until

pytestmark = pytest.mark.broker
LOGIN_WORD = "hunter2-p@ss"
BOOK = SchemaBook()


@dataclass(frozen=True)
class Sent:
    """One frame in the log."""

    run_id: str
    sequence: int
    at: datetime


class Site:
    """Declared streams, and the publishers of one test."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline, self.kafka = pipeline, pipeline.kafka
        self.registry = StreamRegistry(self.kafka)
        self._publishers: dict[int, Path] = {}

    def declare(self, *streams: Stream) -> None:
        self.registry.change(lambda there: changes(there, streams, prune=False))

    def publisher(self, *arguments: str, **environment: str) -> "subprocess.Popen[bytes]":
        log = f"publisher-{len(self._publishers)}"
        process = self.pipeline.command("run", "camera", *arguments, log=log, **environment)
        self._publishers[process.pid] = self.pipeline.folder / f"{log}.log"
        return process

    def log_of(self, publisher: "subprocess.Popen[bytes]") -> str:
        return self._publishers[publisher.pid].read_text(errors="replace")

    def running(self, publisher: "subprocess.Popen[bytes]") -> int:
        """Cameras that run, as its metrics say."""
        found = re.search(r"http://(\S+)/metrics", self.log_of(publisher))
        if found is None:
            return 0
        with urllib.request.urlopen(f"http://{found[1]}/metrics", timeout=5) as answer:
            text = answer.read().decode()
        gauge = re.search(r'^framefuse_streams\{state="running"\} (\S+)', text, re.MULTILINE)
        if gauge is None:
            return 0
        assert 'framefuse_worker_up{stage="camera",' in text
        return int(float(gauge[1]))

    def states(self) -> Mapping[str, Reported]:
        return reported_states(self.kafka, BOOK)

    def sent(self) -> dict[str, list[Sent]]:
        """All frames by stream, in the order of the log; those of two partitions by their append time."""
        found: dict[str, list[Sent]] = {}
        with Reader(self.kafka) as reader:
            for message in reader.everything(FRAMES.name(self.kafka.prefix)):
                frame = decode(message.value, Frame, BOOK)
                found.setdefault(frame.stream_id, []).append(
                    Sent(frame.run_id, frame.sequence, message.timestamp)
                )
        for frames in found.values():
            frames.sort(key=lambda sent: sent.at)
        return found


def scene(stream_id: str, *, fps: float = 5, seed: int = 7, **more: object) -> Stream:
    return replace(declaration(stream_id, f"synthetic:?seed={seed}&size=64x48&fps={fps:g}"), **more)  # type: ignore[arg-type]


def runs(sent: list[Sent]) -> list[str]:
    """The run ids, in order of their first frame."""
    return list(dict.fromkeys(frame.run_id for frame in sent))


def assert_no_gaps(sent: list[Sent]) -> None:
    """Each run counts 0, 1, 2 …"""
    for run_id in runs(sent):
        numbers = [frame.sequence for frame in sent if frame.run_id == run_id]
        assert numbers == list(range(len(numbers)))


@pytest.fixture
def site(broker: RunningBroker, topic_prefix: str, tmp_path: Path) -> Iterator[Site]:
    with a_pipeline(broker.bootstrap, topic_prefix, tmp_path) as pipeline:
        yield Site(pipeline)


@pytest.mark.slow
def test_a_second_publisher_takes_half_and_all_when_the_first_is_killed(site: Site) -> None:
    names = [f"cam{number}" for number in range(8)]
    site.declare(*map(scene, names))
    first = site.publisher()
    until(lambda: site.running(first) == 8)
    second = site.publisher()
    until(lambda: (site.running(first), site.running(second)) == (4, 4))
    until(lambda: sum(len(runs(sent)) == 2 for sent in site.sent().values()) == 4)

    first.kill()
    until(lambda: site.running(second) == 8)
    taken_over_at = datetime.now(UTC)
    until(lambda: all(sent[-1].at > taken_over_at for sent in site.sent().values()))
    site.pipeline.stop()

    after = site.sent()
    assert set(after) == set(names)
    for name in names:
        assert_no_gaps(after[name])
        # Each had two owners: those of the second publisher were untouched by the death of the first.
        assert len(runs(after[name])) == 2
        changes_of_run = [pair for pair in pairwise(after[name]) if pair[0].run_id != pair[1].run_id]
        assert len(changes_of_run) == 1, "two runs of a stream overlap"
        assert runs(after[name]) == sorted(runs(after[name]))
    states = site.states()
    assert {name: states[name].state.ended for name in names} == dict.fromkeys(
        names, "the publisher was stopped"
    )
    assert {name: states[name].state.run_id for name in names} == {
        name: runs(after[name])[-1] for name in names
    }


@pytest.mark.slow
def test_a_stalled_publisher_closes_its_cameras_when_it_wakes(site: Site) -> None:
    names = [f"cam{number}" for number in range(4)]
    site.declare(*(scene(name, fps=20) for name in names))
    stalled = site.publisher()
    until(lambda: site.running(stalled) == 4)
    until(lambda: len(site.sent()) == 4)

    stalled.send_signal(signal.SIGSTOP)
    old = {name: runs(sent) for name, sent in site.sent().items()}
    other = site.publisher()
    until(lambda: site.running(other) == 4)
    stalled.send_signal(signal.SIGCONT)
    woken_at = datetime.now(UTC)
    until(lambda: "joins anew" in site.log_of(stalled))
    until(lambda: (site.running(stalled), site.running(other)) == (2, 2))
    site.pipeline.stop()

    late = {
        name: [frame for frame in sent if frame.run_id in old[name] and frame.at > woken_at]
        for name, sent in site.sent().items()
    }
    # What a thread was just handing over when it was stopped cannot be called back; nothing else comes.
    assert all(len(frames) <= 1 for frames in late.values()), late
    for sent in site.sent().values():
        assert len(runs(sent)) >= 2
        assert_no_gaps(sent)
    assert all(found.state.run_id not in old[name] for name, found in site.states().items())


def test_streams_come_change_and_go_while_a_publisher_runs(site: Site, tmp_path: Path) -> None:
    publisher = site.publisher("--secrets-dir", str(tmp_path), CAM_WORD=LOGIN_WORD)
    site.declare(scene("gate"))
    until(lambda: len(site.sent().get("gate", [])) >= 3)

    site.declare(scene("gate", seed=8, partition=2), scene("yard"))
    until(lambda: len(runs(site.sent()["gate"])) == 2 and site.sent().get("yard"))
    site.registry.change(lambda there: without(there, ["gate"]))
    until(lambda: site.states()["gate"].state.ended == "removed")
    gate = site.sent()["gate"]
    assert_no_gaps(gate)

    (tmp_path / "word").write_text(LOGIN_WORD)
    site.declare(
        declaration("nowhere", "rtsp://viewer:${CAM_WORD}@127.0.0.1:1/live"),
        declaration("file", f"rtsp://viewer:${{file:{tmp_path}/word}}@127.0.0.1:1/live?token=${{CAM_WORD}}"),
        declaration("unset", "rtsp://viewer:${NO_SUCH_WORD}@127.0.0.1:1/live"),
        declaration("outside", "rtsp://viewer:${file:/etc/hostname}@127.0.0.1:1/live"),
    )
    until(lambda: {"nowhere", "file", "unset", "outside"} <= site.states().keys())
    until(lambda: "NO_SUCH_WORD is not set" in (site.states()["unset"].state.ended or ""))
    until(lambda: "not below" in (site.states()["outside"].state.ended or ""))
    yard = len(site.sent()["yard"])
    until(lambda: len(site.sent()["yard"]) > yard)
    site.pipeline.stop()

    assert publisher.returncode == 0
    assert site.sent()["gate"] == gate, "frames came after the stream was removed"
    assert site.states()["yard"].state.state is State.ENDED
    told = "".join(site.pipeline.logs().values()).encode()
    with Reader(site.kafka) as reader:
        for topic in (STREAMS, STREAM_STATES):
            for message in reader.everything(topic.name(site.kafka.prefix)):
                told += message.value or b""
    for form in (LOGIN_WORD, "hunter2-p%40ss"):
        assert form.encode() not in told


def test_a_file_is_published_once_however_often_its_publisher_comes(site: Site, tmp_path: Path) -> None:
    stream = replace(scene("tour"), source="synthetic:?seed=3&size=64x48&fps=10&seconds=1", live=False)
    site.declare(stream)
    site.publisher()
    until(lambda: site.states().get("tour") and site.states()["tour"].state.ended)
    site.pipeline.stop()
    assert len(site.sent()["tour"]) == 10

    site.declare(scene("yard"))
    again = site.publisher()
    until(lambda: site.running(again) == 1)
    site.declare(replace(stream, fps=5.0))
    until(lambda: len(runs(site.sent()["tour"])) == 2)
    until(lambda: site.states()["tour"].state.ended == "end of the source")
    site.pipeline.stop()
    assert len(site.sent()["tour"]) == 15


def test_a_file_of_streams_is_declared_by_the_publisher_itself(site: Site, tmp_path: Path) -> None:
    config = tmp_path / "streams.yaml"
    config.write_text("streams:\n  - id: gate\n    url: synthetic:?size=64x48\n    fps: 2\n")
    site.publisher("--config", str(config))
    until(lambda: site.sent().get("gate"))
    site.registry.change(lambda there: Changes(removed=list(there)))
    until(lambda: site.states()["gate"].state.ended == "removed")
    site.pipeline.stop()


def test_the_topics_of_streams_can_be_shared(broker: RunningBroker, topic_prefix: str) -> None:
    kafka = KafkaSettings(bootstrap=broker.bootstrap, prefix=topic_prefix)
    Admin(kafka).create_topics(ALL, partitions=3)
    assert Admin(kafka).partition_count(STREAMS.name(topic_prefix)) == 12
