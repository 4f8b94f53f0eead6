"""A hundred thousand records that cannot work, between good ones: no partition stops, no byte is lost."""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256

import confluent_kafka as ck
import pytest

from schemas.codec import encode
from schemas.records import Frame
from tests.faults.conftest import Judge
from tests.faults.crew import Crew
from tests.faults.verdict import Place
from tests.parts.pipeline import Pipeline, frames
from tests.parts.results import a_fused

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.storm, pytest.mark.timeout(900)]
COUNT = 100_000
_GOOD_EVERY = 50
_OVERSIZE_EVERY = 20_000
_PARTITIONS = 4


def test_a_hundred_thousand_bad_records(pipeline: Pipeline, verdict_on: Judge) -> None:
    Crew(pipeline, {"detection": 2, "depth": 2, "join": 1, "object-store": 1}).start_all()
    sent, good = send(pipeline, records(random.Random(7)))
    acknowledged = {place: good.get(place, "") for place in sent}
    verdict = verdict_on(pipeline, acknowledged, patience_s=600.0, store=True)

    assert verdict.outcomes["DEAD_LETTER"] > 0.9 * COUNT
    letters = kept_bytes(pipeline, at_least=2 * verdict.outcomes["DEAD_LETTER"])
    changed = [place for place, digests in letters.items() if digests != {sent[place]}]
    assert not changed, f"letters differ from what was sent: {changed[:20]}"
    assert len(letters) == verdict.outcomes["DEAD_LETTER"]


def records(rng: random.Random) -> Iterator[tuple[bytes | None, str]]:
    """Values in turn, and the frame id of each that is good."""
    (frame,) = frames(1)
    whole = encode(frame)
    kinds: list[Callable[[], bytes | None]] = [
        lambda: rng.randbytes(rng.randint(1, 400)),
        lambda: whole[: rng.randint(1, len(whole) - 1)],
        lambda: flipped(whole, rng),
        lambda: encode(with_image(frame, flipped(frame.image, rng), honest=False)),
        lambda: encode(with_image(frame, frame.image[: rng.randint(0, 200)], honest=True)),
        lambda: b"",
        lambda: None,
        lambda: encode(a_fused(1)),
    ]
    for number in range(COUNT):
        if number % _GOOD_EVERY == 0:
            yield whole, frame.frame_id
        if number % _OVERSIZE_EVERY == 0:
            yield rng.randbytes(5_000_000), ""  # just below what the broker takes
        yield kinds[number % len(kinds)](), ""


def flipped(value: bytes, rng: random.Random) -> bytes:
    """With one bit turned."""
    at = rng.randrange(len(value))
    return value[:at] + bytes([value[at] ^ (1 << rng.randrange(8))]) + value[at + 1 :]


def with_image(frame: Frame, image: bytes, *, honest: bool) -> Frame:
    """With another picture; `honest`: its digest says so."""
    return replace(frame, image=image, sha256=sha256(image).hexdigest() if honest else frame.sha256)


def send(
    pipeline: Pipeline, values: Iterator[tuple[bytes | None, str]]
) -> tuple[dict[Place, bytes], dict[Place, str]]:
    """Digest of each value by its place, and the frame ids of the good ones."""
    sent: dict[Place, bytes] = {}
    good: dict[Place, str] = {}
    producer = ck.Producer(
        {
            "bootstrap.servers": pipeline.oracle.bootstrap,
            "enable.idempotence": True,
            "message.max.bytes": 8 << 20,
            "log_level": 0,
        }
    )

    def noting(digest: bytes, frame_id: str) -> Callable[[ck.KafkaError | None, ck.Message], None]:
        def delivered(error: ck.KafkaError | None, message: ck.Message) -> None:
            assert error is None, error
            place = message.partition() or 0, message.offset() or 0
            sent[place] = digest
            if frame_id:
                good[place] = frame_id

        return delivered

    topic = f"{pipeline.oracle.prefix}.frames"
    for number, (value, frame_id) in enumerate(values):
        noted = noting(digest_of(value), frame_id)
        while True:
            try:
                producer.produce(topic, value, "cam", partition=number % _PARTITIONS, on_delivery=noted)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    assert producer.flush(120.0) == 0
    return sent, good


def kept_bytes(pipeline: Pipeline, *, at_least: int) -> dict[Place, set[bytes]]:
    """Digests of the values that the letters of each frame hold."""
    kept: dict[Place, set[bytes]] = {}
    for letter in pipeline.oracle.letters(at_least=at_least):
        kept.setdefault((letter["partition"], letter["offset"]), set()).add(digest_of(letter["value"]))
    return kept


def digest_of(value: bytes | None) -> bytes:
    """Short, so that a hundred thousand fit; null and empty differ."""
    return b"null" if value is None else sha256(value).digest()[:12]
