"""The stage `statistics` on a real broker: workers that die, and values that nobody can read."""

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.request import urlopen

import confluent_kafka as ck
import pytest

from framefuse.broker.home import RunningBroker
from framefuse.doctor import stages
from framefuse.doctor.findings import Finding, Scene, Status
from framefuse.kafka import GroupOffsets, Producer, group_of
from framefuse.results.stream_statistics import StreamStatistics
from schemas.codec import encode
from schemas.records import Fused, Outcome
from schemas.statistics import Statistics
from schemas.topics import FUSED, STATISTICS_EVENTS
from tests.parts.pipeline import Pipeline, a_pipeline
from tests.parts.ports import free_port
from tests.parts.results import a_fused

pytestmark = pytest.mark.broker
PARTITIONS, STREAMS = 4, 6


@pytest.fixture
def pipeline(broker: RunningBroker, topic_prefix: str, tmp_path: Path) -> Iterator[Pipeline]:
    with a_pipeline(broker.bootstrap, topic_prefix, tmp_path, partitions=PARTITIONS) as pipeline:
        yield pipeline


def results(first: int, last: int) -> list[Fused]:
    """Frames `first` to `last` of each partition, of streams spread over all; every third expired."""
    now = datetime.now(UTC)
    return [
        replace(
            a_fused(
                offset, partition=partition, appended_at=now - timedelta(milliseconds=40), labels=["car"]
            ),
            stream_id=f"cam{(offset * PARTITIONS + partition) % STREAMS}",
            outcome=Outcome.EXPIRED if offset % 3 == 0 else Outcome.FUSED,
            fused_at=now,
        )
        for offset in range(first, last + 1)
        for partition in range(PARTITIONS)
    ]


def tell(pipeline: Pipeline, fused: Sequence[Fused | bytes]) -> None:
    """As the join does: in transactions of a few records, each of which leaves a marker in its partitions."""
    kafka, to = pipeline.kafka, FUSED.name(pipeline.kafka.prefix)
    producer = ck.Producer({"bootstrap.servers": kafka.bootstrap or "", "transactional.id": f"{to}-teller"})
    producer.init_transactions(20)
    for first in range(0, len(fused), PARTITIONS):
        producer.begin_transaction()
        for one in fused[first : first + PARTITIONS]:
            if isinstance(one, bytes):
                producer.produce(to, one, key=b"cam0", partition=0)
            else:
                producer.produce(to, encode(one), key=one.stream_id.encode(), partition=one.frame.partition)
        producer.commit_transaction(20)


def tell_nonsense(pipeline: Pipeline, nonsense: Sequence[bytes]) -> None:
    """Into the events that the stage's two halves share."""
    producer = Producer(pipeline.kafka)
    for one in nonsense:
        producer.send(STATISTICS_EVENTS.name(pipeline.kafka.prefix), one, key=b"cam0", partition=0)
    assert producer.flush(10) == 0


def wait_for(
    streams: StreamStatistics, done: Callable[[Mapping[str, Statistics]], bool]
) -> Mapping[str, Statistics]:
    """What is told of each stream, once it is as it shall be; or as it is after half a minute."""
    give_up_s = time.monotonic() + 30
    while True:
        told = {one.stream_id: one for one in streams.read()}
        if done(told) or time.monotonic() > give_up_s:
            return told
        time.sleep(0.1)


def both_at_work(*ports: int) -> bool:
    """Whether each has partitions: else the death of one would be nothing."""
    try:
        return all(sample(port, "framefuse_assigned_partitions") for port in ports)
    except (OSError, ValueError):
        return False  # one does not listen yet, or says nothing of partitions yet


def sample(port: int, name: str) -> float:
    """What a worker says of itself."""
    with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    (value,) = (line.rpartition(" ")[2] for line in lines if line.startswith(name + "{"))
    return float(value)


def wait_until_committed(pipeline: Pipeline) -> dict[str, int]:
    """Offsets of each topic that are not committed, once there are none; or those after half a minute."""
    give_up_s = time.monotonic() + 30
    with GroupOffsets(pipeline.kafka, group_of(pipeline.kafka, "statistics")) as offsets:
        while True:
            left = {}
            for topic in (FUSED.name(pipeline.kafka.prefix), STATISTICS_EVENTS.name(pipeline.kafka.prefix)):
                committed = offsets.committed(topic, range(PARTITIONS))
                ends = offsets.ends(topic, range(PARTITIONS))
                left[topic] = sum(end - committed.get(part, 0) for part, end in ends.items())
            if not any(left.values()) or time.monotonic() > give_up_s:
                return left
            time.sleep(0.2)


def strangers(pipeline: Pipeline) -> list[Finding]:
    """What `framefuse doctor` has against the groups of the stages."""
    found = stages.look(Scene(pipeline.kafka, pipeline.kafka.bootstrap))
    assert {"group ids"} <= {one.subject for one in found}
    return [one for one in found if one.subject == "group ids" and one.status is not Status.OK]


def frames_of(told: Mapping[str, Statistics]) -> int:
    return sum(one.frames for one in told.values())


@pytest.mark.slow
def test_a_worker_killed_while_it_counts_leaves_every_stream_with_its_exact_count(pipeline: Pipeline) -> None:
    """Also where values that nobody can read lie between."""
    junk = [b"\xff\xfe no record", b"\xc3\x01" + b"\x42" * 8]
    tell(pipeline, [junk[0], *results(0, 19), junk[1]])
    tell_nonsense(pipeline, junk)
    port, other = free_port(), free_port()
    pipeline.start("statistics", "--metrics-port", str(port))
    dies = pipeline.start("statistics", "--metrics-port", str(other))
    with StreamStatistics(pipeline.kafka) as streams:
        wait_for(streams, lambda told: frames_of(told) == 80 and both_at_work(port, other))
        tell(pipeline, results(20, 59))
        time.sleep(0.3)  # in the middle of it
        dies.send_signal(signal.SIGKILL)
        dies.wait()
        tell(pipeline, results(60, 79))
        pipeline.start("statistics")
        told = wait_for(streams, lambda told: frames_of(told) >= 320)
        assert set(wait_until_committed(pipeline).values()) == {0}  # the markers of transactions included
        # Whoever came in the place of the dead one makes the others share out anew, and not be up meanwhile.
        told = wait_for(
            streams,
            lambda told: (
                sample(port, "framefuse_lag_records") == 0 and sample(port, "framefuse_worker_up") == 1
            ),
        )
        assert sample(port, "framefuse_assigned_partitions") > 0
        with urlopen(f"http://127.0.0.1:{port}/readyz") as answer:
            assert answer.status == 200
        assert strangers(pipeline) == []
    tell(pipeline, results(80, 119))
    pipeline.stop()  # while they have much in hand

    assert [name for name, log in pipeline.logs().items() if "did not stop" in log] == []

    everything = results(0, 79)
    assert {name: one.frames for name, one in told.items()} == Counter(one.stream_id for one in everything)
    outcomes = Counter((one.stream_id, one.outcome.value) for one in everything)
    assert {(name, how): n for name, one in told.items() for how, n in one.outcomes.items()} == outcomes
