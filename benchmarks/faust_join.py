"""Our join beside the same join on Faust: what SIGKILLs cost each, and how fast each is. Quote the ratios.

    python -m benchmarks.faust_join --seconds 40 --fps 200

Starts its own broker. Both halves of each frame are written straight to the topics, small and without
objects, so that the engine is what is measured. On Faust: two agents share a Table of halves that wait for
the other; the second half takes the first out of it and sends the result (`benchmarks/faust_join_app.py`). Of
two workers the older is killed and replaced every few seconds; then a plain reader counts what came out.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.faust_join_app import CHANGELOG
from framefuse import broker
from framefuse.kafka import Admin, Producer, Reader
from framefuse.kafka.schema_topic import SchemaTopic
from framefuse.settings import KafkaSettings
from schemas.codec import SchemaBook, encode
from schemas.heads import FusedHead, decode_head
from schemas.topics import ALL, DEPTH, DETECTIONS, FUSED
from tests.unit.builders import depth_of, detections_of

PARTITIONS, KILL_EVERY_S, QUIET_S, PATIENCE_S = 4, 8.0, 60.0, 240.0
ENGINES = {
    "ours": ["-m", "framefuse", "run", "join"],
    "faust": ["-m", "benchmarks.faust_join_app"],
}
Place = tuple[int, int]
"""Partition and offset of a frame."""


@dataclass
class Seen:
    """What came out, and when."""

    outcomes: Counter[Place] = field(default_factory=Counter)
    disorder: int = 0
    at_s: dict[Place, float] = field(default_factory=dict)


class Watcher:
    """Reads `fused` in a thread of its own, read committed."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self.seen = Seen()
        self._kafka, self._stop = kafka, threading.Event()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def close(self) -> None:
        """Read no more."""
        self._stop.set()
        self._thread.join()

    def _read(self) -> None:
        book, last = SchemaBook(), defaultdict[int, int](lambda: -1)
        with Reader(self._kafka) as reader:
            reader.assign(dict.fromkeys(reader.bounds(FUSED.name(self._kafka.prefix)), 0))
            while not self._stop.is_set():
                for message in reader.poll(0.05):
                    frame = decode_head(message.value, FusedHead, book).frame
                    place = (frame.partition, frame.offset)
                    self.seen.disorder += frame.offset < last[frame.partition]
                    last[frame.partition] = max(last[frame.partition], frame.offset)
                    self.seen.outcomes[place] += 1
                    self.seen.at_s.setdefault(place, time.monotonic())


@dataclass(frozen=True)
class Site:
    """Topics of one engine, and what is started there."""

    engine: str
    kafka: KafkaSettings
    folder: Path
    workers: list["subprocess.Popen[bytes]"]

    def start(self) -> None:
        """One more worker."""
        where = {"FRAMEFUSE_BOOTSTRAP": str(self.kafka.bootstrap), "FRAMEFUSE_PREFIX": self.kafka.prefix}
        with (self.folder / f"{self.kafka.prefix}.log").open("ab") as log:
            command = [sys.executable, *ENGINES[self.engine]]
            self.workers.append(
                subprocess.Popen(command, env={**os.environ, **where}, stdout=log, stderr=log)
            )

    def kill(self) -> None:
        """The worker that lived longest, at once."""
        oldest = self.workers.pop(0)
        oldest.kill()
        oldest.wait()

    def feed(self, frames: int, *, fps: float = 0.0) -> dict[Place, float]:
        """Both halves of frames, in turn to all partitions; when each frame was written."""
        producer, written, begun_s = Producer(self.kafka), dict[Place, float](), time.monotonic()
        for number in range(frames):
            offset, partition = divmod(number, PARTITIONS)
            halves = ((DETECTIONS, detections_of), (DEPTH, depth_of))
            for topic, half in halves:
                value = encode(half(offset, partition=partition))  # type: ignore[operator] - one of two builders
                producer.send(topic.name(self.kafka.prefix), value, key=b"bench", partition=partition)
            producer.poll(0)
            written[partition, offset] = time.monotonic()
            if fps:
                time.sleep(max(0.0, begun_s + (number + 1) / fps - time.monotonic()))
        producer.flush(30.0)
        return written


@contextmanager
def a_site(engine: str, prefix: str, bootstrap: str, folder: Path) -> Iterator[Site]:
    """Empty topics; leaves nothing running."""
    kafka = KafkaSettings(bootstrap=bootstrap, prefix=prefix)
    Admin(kafka).create_topics([*ALL, CHANGELOG], partitions=PARTITIONS)
    SchemaTopic(kafka)
    site = Site(engine, kafka, folder, [])
    try:
        yield site
    finally:
        while site.workers:
            site.kill()


def frames_per_s(site: Site, frames: int) -> float:
    """One worker and a backlog: from the first result to the last."""
    watcher = Watcher(site.kafka)
    try:
        site.feed(frames)
        site.start()
        wait_for(watcher.seen, frames)
        times = sorted(watcher.seen.at_s.values())
        return (len(times) - 1) / (times[-1] - times[0])
    finally:
        watcher.close()


@dataclass(frozen=True)
class Killed:
    """What a run with kills gave."""

    frames: int
    kills: int
    lost: int
    twice: int
    disorder: int
    slowest_s: float
    """From the writing of a frame to its first result."""


def killed(site: Site, seconds: float, fps: float) -> Killed:
    """Two workers, one of which is killed and started again every few seconds while frames come."""
    frames, kills, watcher = int(seconds * fps), 0, Watcher(site.kafka)
    written: dict[Place, float] = {}
    feeding = threading.Thread(target=lambda: written.update(site.feed(frames, fps=fps)))
    try:
        for _ in range(2):
            site.start()
        feeding.start()
        while not watcher.seen.outcomes:
            time.sleep(0.05)
        until_s = time.monotonic() + seconds
        while time.monotonic() + KILL_EVERY_S < until_s:
            time.sleep(KILL_EVERY_S)
            site.kill()
            site.start()
            kills += 1
        feeding.join()
        wait_for(watcher.seen, frames)
        time.sleep(2.0)  # long enough for a result too many to show itself
    finally:
        watcher.close()
    seen = watcher.seen
    return Killed(
        frames=frames,
        kills=kills,
        lost=frames - len(seen.outcomes),
        twice=seen.outcomes.total() - len(seen.outcomes),
        disorder=seen.disorder,
        slowest_s=max(at_s - written[place] for place, at_s in seen.at_s.items()),
    )


def wait_for(seen: Seen, frames: int) -> None:
    """Until all have come, or nothing comes any more."""
    give_up_s = time.monotonic() + PATIENCE_S
    while len(seen.outcomes) < frames and time.monotonic() < give_up_s:
        latest_s = max(seen.at_s.copy().values(), default=give_up_s)
        if seen.outcomes and time.monotonic() - latest_s > QUIET_S:
            return
        time.sleep(0.05)


def measure(arguments: argparse.Namespace, folder: Path) -> None:
    """Both engines, one after the other, on one broker."""
    running = broker.start(folder / "broker", port=0)
    try:
        rates: dict[str, float] = {}
        for engine in ENGINES:
            with a_site(engine, f"{engine}-speed", running.bootstrap, folder) as site:
                rates[engine] = frames_per_s(site, arguments.backlog)
            say(f"{engine}: {rates[engine]:.0f} frames/s of a backlog, one worker")
        say(f"ours ÷ faust: {rates['ours'] / rates['faust']:.1f}")
        for run in range(arguments.runs):
            for engine in ENGINES:
                with a_site(engine, f"{engine}-kills-{run}", running.bootstrap, folder) as site:
                    say(f"{engine}: {killed(site, arguments.seconds, arguments.fps)}")
    finally:
        broker.stop(folder / "broker", graceful=False)


def say(text: str) -> None:
    """A line at once: the whole takes minutes."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=40.0, help="of feeding, in a run with kills")
    parser.add_argument("--fps", type=float, default=200.0)
    parser.add_argument("--backlog", type=int, default=8000, help="frames of the run that measures speed")
    parser.add_argument("--runs", type=int, default=2, help="with kills")
    with tempfile.TemporaryDirectory(prefix="faust-join-") as folder:
        measure(parser.parse_args(arguments), Path(folder))


if __name__ == "__main__":
    main()
