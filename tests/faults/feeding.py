"""A steady publisher that keeps what the broker acknowledged, with a plain client of its own."""

import threading
import time
from dataclasses import replace
from hashlib import sha256

import confluent_kafka as ck

from schemas.codec import encode
from schemas.records import Frame
from tests.faults.verdict import Place
from tests.parts.pipeline import HEIGHT, WIDTH, a_picture
from tests.unit.builders import a_frame


class Feeder:
    """Appends a frame to each partition in turn until stopped: of files, live, of files, and both in turn."""

    def __init__(self, bootstrap: str, prefix: str, *, partitions: int, per_second: float) -> None:
        self._topic, self._partitions, self._interval_s = f"{prefix}.frames", partitions, 1 / per_second
        self._producer = ck.Producer(
            {
                "bootstrap.servers": bootstrap,
                "enable.idempotence": True,
                "linger.ms": 0,
                "delivery.timeout.ms": 300_000,
                "log_level": 0,
            }
        )
        self._image = a_picture()
        self._sha256 = sha256(self._image).hexdigest()
        self._acknowledged: dict[Place, str] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="feeder")

    def __enter__(self) -> "Feeder":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def count(self) -> int:
        """Frames acknowledged so far."""
        return len(self._acknowledged)

    def stop(self) -> dict[Place, str]:
        """No more; the place of each acknowledged frame, and its id."""
        self.__exit__()
        return self._acknowledged

    def _run(self) -> None:
        number, next_s = 0, time.monotonic()
        while not self._stop.wait(max(0.0, next_s - time.monotonic())):
            self._send(number)
            number, next_s = number + 1, next_s + self._interval_s
        self._producer.flush(120.0)

    def _send(self, number: int) -> None:
        partition = number % self._partitions
        frame = self._frame(number // self._partitions, partition)

        def delivered(error: ck.KafkaError | None, message: ck.Message) -> None:
            if error is None:
                self._acknowledged[message.partition() or 0, message.offset() or 0] = frame.frame_id

        self._producer.produce(
            self._topic, encode(frame), frame.stream_id, partition=partition, on_delivery=delivered
        )
        self._producer.poll(0)

    def _frame(self, sequence: int, partition: int) -> Frame:
        mixed = partition % 4 == 3
        live = sequence % 2 == 1 if mixed else partition % 4 == 1
        frame = a_frame(
            f"{'live' if live else 'file'}{partition}",
            sequence // 2 if mixed else sequence,
            image=self._image,
            width=WIDTH,
            height=HEIGHT,
            live=live,
            freshness_ms=5_000 if live else None,
        )
        return replace(frame, sha256=self._sha256)
