"""A whole pipeline for tests: stages as real processes on a real broker, with tiny models of known output.

The oracle (`outcomes`, `letters`) reads with a plain client and plain fastavro: none of our reading code.
"""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import confluent_kafka as ck
import cv2
import fastavro
import numpy as np

from framefuse.kafka import Admin, Producer
from framefuse.kafka.schema_topic import SchemaTopic
from framefuse.settings import KafkaSettings
from schemas.codec import encode
from schemas.records import Frame
from schemas.topics import ALL, FRAMES
from tests.unit.builders import a_frame
from tests.unit.models import a_depth_net, a_detector

WIDTH, HEIGHT = 64, 32
T = TypeVar("T")
Rows = Mapping[int, Sequence[dict[str, Any]]]


@dataclass(frozen=True)
class Oracle:
    """What is in the topics, read committed, by a client that shares no code with the product."""

    bootstrap: str
    prefix: str

    def read(self, suffix: str, *, at_least: int, patience_s: float = 60.0, longer_s: float = 1.5) -> Rows:
        """Records by partition, in order; waits until there are `at_least`, then a little longer.

        That is for a record too many to show itself; a test that only waits for something needs none of it.
        """
        rows: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
        for number, row in self.collect(
            suffix,
            lambda message: (message.partition() or 0, plain(message.value() or b"")),
            enough=lambda found: len(found) >= at_least,
            patience_s=patience_s,
            longer_s=longer_s,
        ):
            rows[number].append(row)
        return rows

    def collect(
        self,
        suffix: str,
        read: Callable[[ck.Message], T],
        *,
        enough: Callable[[Sequence[T]], bool],
        patience_s: float,
        longer_s: float,
    ) -> list[T]:
        """What `read` makes of each record of a topic, until that is enough, and then a little longer."""
        found: list[T] = []
        give_up_s = time.monotonic() + patience_s
        quiet_s: float | None = None
        with self.consumer(suffix) as consumer:
            while time.monotonic() < (quiet_s or give_up_s):
                found += [read(message) for message in consumer.consume(500, 0.2) if message.error() is None]
                if quiet_s is None and enough(found):
                    quiet_s = time.monotonic() + longer_s
        return found

    @contextmanager
    def consumer(self, suffix: str, at: int = ck.OFFSET_BEGINNING) -> Iterator[ck.Consumer]:
        """A plain client that reads all partitions of a topic, read committed, from there on."""
        consumer = ck.Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": f"{self.prefix}-oracle",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
            }
        )
        topic = f"{self.prefix}.{suffix}"
        numbers = consumer.list_topics(topic, timeout=30).topics[topic].partitions
        consumer.assign([ck.TopicPartition(topic, number, at) for number in numbers])
        try:
            yield consumer
        finally:
            consumer.close()

    def outcomes(self, *, at_least: int, patience_s: float = 60.0) -> Rows:
        """What is in `fused`."""
        return self.read("fused", at_least=at_least, patience_s=patience_s)

    def letters(self, *, at_least: int) -> list[dict[str, Any]]:
        """What is in `dead-letters`."""
        return [row for rows in self.read("dead-letters", at_least=at_least).values() for row in rows]


class Pipeline:
    """Topics, models and processes of one test."""

    def __init__(
        self, bootstrap: str, prefix: str, folder: Path, *, partitions: int = 4, replication: int = 1
    ) -> None:
        self.kafka = KafkaSettings(bootstrap=bootstrap, prefix=prefix)
        self.folder = folder
        self.oracle = Oracle(bootstrap, prefix)
        Admin(self.kafka).create_topics(ALL, partitions=partitions, replication=replication)
        SchemaTopic(self.kafka)
        head = np.zeros((6, 2), np.float32)
        head[:, 0] = [32, 16, 20, 10, 0.9, 0]
        self._environment = {
            **os.environ,
            "FRAMEFUSE_BOOTSTRAP": bootstrap,
            "FRAMEFUSE_PREFIX": prefix,
            "FRAMEFUSE_DETECTION_MODEL": str(a_detector(folder / "detector.onnx", head)),
            "FRAMEFUSE_DEPTH_MODEL": str(
                a_depth_net(folder / "depth.onnx", metadata={"kind": "METRIC", "unit": "m"})
            ),
            "FRAMEFUSE_OBJECT_STORE_URL": str(folder / "results"),
            "FRAMEFUSE_OBJECT_STORE_MAX_WAIT_S": "1",
        }
        self._processes: list[subprocess.Popen[bytes]] = []

    def set(self, **environment: str) -> None:
        """More environment for all commands from now on."""
        self._environment.update(environment)

    def use_demo_models(self) -> None:
        """The models that come with framefuse, instead of the tiny ones."""
        for stage in ("DETECTION", "DEPTH"):
            del self._environment[f"FRAMEFUSE_{stage}_MODEL"]

    def start(self, stage: str, *arguments: str, **environment: str) -> "subprocess.Popen[bytes]":
        """`framefuse run STAGE …` as a process of its own; its output goes to the test's folder."""
        return self.command("run", stage, *arguments, log=f"{stage}-{len(self._processes)}", **environment)

    def command(
        self, *arguments: str, log: str, module: str = "framefuse", **environment: str
    ) -> "subprocess.Popen[bytes]":
        """Any `framefuse …` command in the background; what it says is added to the log of that name."""
        with (self.folder / f"{log}.log").open("ab") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                env={**self._environment, **environment},
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        self._processes.append(process)
        return process

    def run(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Any `framefuse …` command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "framefuse", *arguments],
            env={**self._environment, **environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def publish(self, frames: Sequence[Frame | bytes], *, pace_s: float = 0.0) -> int:
        """Append frames (or raw values) in turn to all partitions; the number the broker acknowledged."""
        acknowledged: list[int] = []
        producer = Producer(self.kafka)
        topic = FRAMES.name(self.kafka.prefix)
        partitions = Admin(self.kafka).partition_count(topic)
        for number, frame in enumerate(frames):
            producer.send(
                topic,
                frame if isinstance(frame, bytes) else encode(frame),
                key=b"unknown" if isinstance(frame, bytes) else frame.stream_id.encode(),
                partition=number % partitions,
                on_delivery=lambda delivery: (
                    acknowledged.append(delivery.offset) if not delivery.error else None
                ),
            )
            if pace_s:
                producer.poll(0)
                time.sleep(pace_s)
        assert producer.flush(30.0) == 0
        return len(acknowledged)

    def stop(self) -> list[int]:
        """SIGTERM to all, and how each ended; what does not leave within half a minute fails the test."""
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        return [process.wait(30) for process in self._processes]

    def close(self) -> None:
        """Leave nothing running, whatever the test did."""
        for process in self._processes:
            if process.poll() is None:
                process.kill()
            process.wait()

    def logs(self) -> Mapping[str, str]:
        """What each process said."""
        return {path.stem: path.read_text(errors="replace") for path in sorted(self.folder.glob("*.log"))}


@contextmanager
def a_pipeline(
    bootstrap: str, prefix: str, folder: Path, *, partitions: int = 4, replication: int = 1
) -> Iterator[Pipeline]:
    """A pipeline that leaves nothing running."""
    pipeline = Pipeline(bootstrap, prefix, folder, partitions=partitions, replication=replication)
    try:
        yield pipeline
    finally:
        pipeline.close()


def a_picture(seed: int = 0) -> bytes:
    """A small JPEG."""
    noise = np.random.default_rng(seed).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
    return cv2.imencode(".jpg", noise)[1].tobytes()


def frames(count: int, *, streams: int = 4) -> list[Frame]:
    """Frames with a real picture, of several streams in turn."""
    image = a_picture()
    digest = sha256(image).hexdigest()
    return [
        replace(
            a_frame(f"cam{number % streams}", number // streams, image=image, width=WIDTH, height=HEIGHT),
            sha256=digest,
        )
        for number in range(count)
    ]


def assert_exactly_one_outcome(outcomes: Rows, acknowledged: int) -> None:
    """Every acknowledged frame has one outcome, in the order of its partition."""
    assert sum(map(len, outcomes.values())) == acknowledged
    for rows in outcomes.values():
        assert [row["frame"]["offset"] for row in rows] == list(range(len(rows)))


def plain(value: bytes) -> dict[str, Any]:
    """A record of ours as a dict, read with the schema that its fingerprint names."""
    schema = _SCHEMAS[value[2:10]]
    return fastavro.schemaless_reader(io.BytesIO(value[10:]), schema, None)  # type: ignore[return-value]


def _by_fingerprint() -> dict[bytes, Any]:
    folder = Path(__file__).parents[2] / "schemas"
    texts = [path.read_text() for path in folder.glob("*.avsc")]
    digest = fastavro.schema.fingerprint
    canonical = fastavro.schema.to_parsing_canonical_form
    return {
        bytes.fromhex(digest(canonical(json.loads(text)), "CRC-64-AVRO")): fastavro.parse_schema(
            json.loads(text)
        )
        for text in texts
    }


_SCHEMAS = _by_fingerprint()
