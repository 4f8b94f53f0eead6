"""`framefuse publish rtsp://…` and `run camera` as processes, from a real RTSP server into Kafka."""

import json
import re
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from framefuse.broker.home import RunningBroker
from framefuse.kafka import Reader
from framefuse.streams.declaring import changes, declaration
from framefuse.streams.registry import StreamRegistry
from schemas.codec import SchemaBook, decode
from schemas.records import Frame
from schemas.topics import FRAMES
from tests.parts import rtsp_server
from tests.parts.pipeline import Pipeline, a_pipeline
from tests.parts.rtsp_server import LOGIN, RtspServer
from tests.parts.waiting import until

pytestmark = pytest.mark.broker
BOOK = SchemaBook()


@pytest.fixture(scope="module")
def launch(tmp_path_factory: pytest.TempPathFactory) -> str:
    if reason := rtsp_server.missing():
        pytest.skip(reason)
    return rtsp_server.h264(rtsp_server.write_video(tmp_path_factory.mktemp("camera") / "minute.mp4"))


@pytest.fixture
def pipeline(broker: RunningBroker, topic_prefix: str, tmp_path: Path) -> Iterator[Pipeline]:
    with a_pipeline(broker.bootstrap, topic_prefix, tmp_path) as pipeline:
        yield pipeline


def test_a_camera_is_published_through_a_restart_until_ctrl_c(pipeline: Pipeline, launch: str) -> None:
    with RtspServer(launch, login=LOGIN) as server:
        url = server.url.replace("rtsp://", f"rtsp://{LOGIN[0]}:${{CAM_PASSWORD}}@")
        port = rtsp_server.free_port()
        command = ("publish", url, "--stream", "gate", "--json", "--metrics-port", str(port))
        process = pipeline.command(*command, log="publish", CAM_PASSWORD=LOGIN[1])
        until(lambda: metric(port, "framefuse_published_total") >= 5)
        assert metric(port, 'framefuse_streams{state="running"}') == 1
        server.stop()
        until(lambda: metric(port, 'framefuse_streams{state="reconnecting"}') == 1)
        before = metric(port, "framefuse_published_total")
        server.start()
        until(lambda: metric(port, "framefuse_published_total") >= before + 5)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130

    said = pipeline.logs()["publish"]
    (sums,) = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    frames = sent(pipeline)["gate"]
    assert len(frames) == sums["published"] >= 10
    assert sums["not_acknowledged"] == 0
    assert all(frame.live and (frame.width, frame.height) == (160, 120) for frame in frames)
    numbers = [frame.sequence for frame in frames]
    assert numbers == sorted(set(numbers)), "out of order"
    assert LOGIN[1] not in said


@pytest.mark.slow
def test_declared_cameras_are_published_together(pipeline: Pipeline, launch: str) -> None:
    names = ["gate", "yard", "door"]
    with RtspServer({f"/{name}": launch for name in names}) as server:
        cameras = [declaration(name, server.url_of(f"/{name}")) for name in names]
        StreamRegistry(pipeline.kafka).change(lambda there: changes(there, cameras, prune=False))
        pipeline.start("camera")
        until(lambda: all(len(sent(pipeline).get(name, [])) >= 5 for name in names))
        pipeline.stop()


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs /proc")
def test_a_password_on_the_command_line_is_hidden_from_ps_and_warned_of(pipeline: Pipeline) -> None:
    word = "hunter2-on-argv"
    process = pipeline.command(
        "publish", f"rtsp://viewer:{word}@127.0.0.1:{rtsp_server.free_port()}/cam", log="publish"
    )
    arguments = Path(f"/proc/{process.pid}/cmdline")
    until(lambda: b"viewer:***@" in arguments.read_bytes())
    until(lambda: "connection refused" in pipeline.logs()["publish"])
    assert word.encode() not in arguments.read_bytes()
    process.send_signal(signal.SIGINT)
    process.wait(20)
    said = pipeline.logs()["publish"]
    assert "literal credential" in said
    assert "${CAM1_PASSWORD}" in said
    assert word not in said


def metric(port: int, name: str) -> float:
    """0 where nothing listens yet or nobody has counted."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            text = answer.read().decode()
    except OSError:
        return 0
    found = re.search(rf"^{re.escape(name)} (\S+)", text, re.MULTILINE)
    return float(found[1]) if found else 0


def sent(pipeline: Pipeline) -> dict[str, list[Frame]]:
    found: dict[str, list[Frame]] = {}
    with Reader(pipeline.kafka) as reader:
        for message in reader.everything(FRAMES.name(pipeline.kafka.prefix)):
            frame = decode(message.value, Frame, BOOK)
            found.setdefault(frame.stream_id, []).append(frame)
    return found
