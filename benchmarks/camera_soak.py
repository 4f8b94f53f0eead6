"""Cameras that stop, freeze and come back: whether memory and handles of their publisher stay flat.

    python -m benchmarks.camera_soak --minutes 10 --cameras 3

Starts its own broker, an RTSP server a camera and one `framefuse publish`. Every few seconds one server is
killed for 3 s or frozen for 5 s, in turn; besides, each video ends after a minute and begins again. Exit
status 1 where memory in the last third is more than 5 % above the middle third, where handles grow, where a
frame that was published is not in the topic, or where a camera does not run at the end.
"""

import argparse
import json
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

import psutil

from framefuse import broker
from framefuse.kafka import Admin, Reader
from framefuse.settings import KafkaSettings
from schemas.codec import SchemaBook, decode
from schemas.records import Frame
from schemas.topics import ALL, FRAMES
from tests.parts import rtsp_server
from tests.parts.rtsp_server import RtspServer

_SIZE, _VIDEO_S, _FPS = (640, 384), 60, 10
_START_S, _STOPPED_S, _FROZEN_S, _LAST_S = 60.0, 3.0, 5.0, 45.0
_GROWTH_LIMIT, _HANDLES_LIMIT = 0.05, 8


@dataclass
class Sample:
    """The publisher at one moment."""

    at_s: float
    rss_mib: float
    handles: int
    threads: int
    states: Counter[str] = field(default_factory=Counter)


def sample(process: psutil.Process, port: int, at_s: float) -> Sample:
    """Look at the publisher now."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    states = Counter(
        {
            found[1]: int(float(found[2]))
            for found in re.finditer(r'^framefuse_streams\{state="(\w+)"\} (\S+)', text, re.MULTILINE)
        }
    )
    return Sample(at_s, process.memory_info().rss / 2**20, process.num_fds(), process.num_threads(), states)


def trouble(servers: Sequence[RtspServer], until_s: float, every_s: float) -> Iterator[str]:
    """Each step waits some seconds and makes some, in turn: a stop, a freeze, each brought back."""
    number = 0
    while time.monotonic() < until_s:
        server, kind = servers[number % len(servers)], ("stop", "freeze")[number // len(servers) % 2]
        yield from _pause(every_s)
        if kind == "stop":
            server.stop()
            yield from _pause(_STOPPED_S)
            server.start()
        else:
            server.freeze()
            yield from _pause(_FROZEN_S)
            server.thaw()
        number += 1
        yield kind
    yield from _pause(_LAST_S)


def _pause(seconds: float) -> Iterator[str]:
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        time.sleep(1.0)
        yield ""


def frames_of(kafka: KafkaSettings) -> dict[str, list[tuple[str, int]]]:
    """Run id and sequence of all frames in the topic, by stream, in order of the log."""
    book, found = SchemaBook(), dict[str, list[tuple[str, int]]]()
    with Reader(kafka) as reader:
        for message in reader.everything(FRAMES.name(kafka.prefix)):
            frame = decode(message.value, Frame, book)
            found.setdefault(frame.stream_id, []).append((frame.run_id, frame.sequence))
    return found


def figures(
    samples: Sequence[Sample], done: Counter[str], sums: Sequence[Mapping[str, Any]], kafka: KafkaSettings
) -> dict[str, Any]:
    """What was seen; `well` says whether all of it is as it should be."""
    third = len(samples) // 3
    middle, last = samples[third : 2 * third], samples[2 * third :]
    before, after = (fmean(one.rss_mib for one in part) for part in (middle, last))
    handles = [max(one.handles for one in part) for part in (middle, last)]
    states = sum((one.states for one in samples), Counter[str]())
    sent = frames_of(kafka)
    streams = [_of_stream(stream, sent.get(stream["stream_id"], [])) for stream in sums]
    flat = after <= before * (1 + _GROWTH_LIMIT) and handles[1] <= handles[0] + _HANDLES_LIMIT
    running = samples[-1].states["running"] == len(sums)
    return {
        "minutes": round(samples[-1].at_s / 60, 1),
        "events": dict(done),
        "memory_mib": {
            "middle_third": round(before, 1),
            "last_third": round(after, 1),
            "largest": round(max(one.rss_mib for one in samples), 1),
            "a_minute": round(_slope(samples[third:]), 2),
            "by_minute": _by_minute(samples),
        },
        "handles": {"middle_third": handles[0], "last_third": handles[1]},
        "threads": {"middle_third": max(one.threads for one in middle), "last_third": samples[-1].threads},
        "states": {state: round(count / states.total(), 3) for state, count in states.items() if count},
        "streams": streams,
        "well": flat and running and all(stream["whole"] for stream in streams),
    }


def _by_minute(samples: Sequence[Sample]) -> list[float]:
    minutes: dict[int, list[float]] = {}
    for one in samples:
        minutes.setdefault(int(one.at_s // 60), []).append(one.rss_mib)
    return [round(fmean(found), 1) for found in minutes.values()]


def _of_stream(told: Mapping[str, Any], frames: Sequence[tuple[str, int]]) -> dict[str, Any]:
    numbers = [sequence for _, sequence in frames]
    ordered = numbers == sorted(set(numbers))
    return {
        "stream": told["stream_id"],
        **{name: told[name] for name in ("published", "dropped", "rejected", "not_acknowledged")},
        "in_the_topic": len(frames),
        "missing_in_the_sequence": sum(later - earlier - 1 for earlier, later in pairwise(numbers)),
        "whole": ordered and len(frames) == told["published"] and not told["not_acknowledged"],
    }


def _slope(samples: Sequence[Sample]) -> float:
    """MiB a minute, by least squares."""
    at, rss = fmean(one.at_s for one in samples), fmean(one.rss_mib for one in samples)
    over = sum((one.at_s - at) * (one.rss_mib - rss) for one in samples)
    return 60 * over / sum((one.at_s - at) ** 2 for one in samples)


def _await_start(port: int) -> None:
    give_up_s = time.monotonic() + _START_S
    while True:
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10).close()
        except OSError:
            if time.monotonic() > give_up_s:
                raise
            time.sleep(0.5)


def soak(minutes: float, cameras: int, every_s: float, kafka: KafkaSettings, folder: Path) -> dict[str, Any]:
    """Run it; what was seen."""
    launch = rtsp_server.h264(rtsp_server.write_video(folder / "video.mp4", seconds=_VIDEO_S, size=_SIZE))
    servers = [RtspServer(launch) for _ in range(cameras)]
    port = rtsp_server.free_port()
    command = [sys.executable, "-m", "framefuse", "publish", *(server.url for server in servers)]
    command += [f"--stream=cam{number}" for number in range(cameras)]
    command += [f"--fps={_FPS}", "--json", f"--metrics-port={port}", f"--bootstrap={kafka.bootstrap}"]
    publisher = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    samples: list[Sample] = []
    done: Counter[str] = Counter()
    try:
        _await_start(port)
        began_s = time.monotonic()
        for step in trouble(servers, began_s + 60 * minutes - _LAST_S, every_s):
            done.update([step] if step else [])
            samples.append(sample(psutil.Process(publisher.pid), port, time.monotonic() - began_s))
        publisher.send_signal(signal.SIGINT)
        out, _ = publisher.communicate(timeout=60)
    finally:
        publisher.kill()
        for server in servers:
            server.thaw()
            server.stop()
    return figures(samples, done, [json.loads(line) for line in out.splitlines()], kafka)


def main() -> int:
    """Parse, start the broker, soak."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--cameras", type=int, default=3)
    parser.add_argument("--every", type=float, default=12.0, help="seconds between two troubles")
    options = parser.parse_args()
    if reason := rtsp_server.missing():
        sys.stderr.write(reason + "\n")
        return 2
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "broker"
        kafka = KafkaSettings(bootstrap=broker.start(data, port=0).bootstrap)
        try:
            Admin(kafka).create_topics(ALL, partitions=4)
            found = soak(options.minutes, options.cameras, options.every, kafka, Path(folder))
            sys.stdout.write(json.dumps(found, indent=1) + "\n")
            return 0 if found["well"] else 1
        finally:
            broker.stop(data, graceful=False)


if __name__ == "__main__":
    sys.exit(main())
