"""Reading on while a pipeline is upgraded: what a newer version writes counts, what is no record does not."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from time import monotonic
from typing import TypeVar

import pytest

from framefuse.broker.home import RunningBroker
from framefuse.dead_letters.replaying import Outcomes
from framefuse.errors import Retry
from framefuse.kafka import Producer
from framefuse.kafka.schema_topic import SchemaTopic
from framefuse.results.awaiting import OutcomeReader
from framefuse.results.first_frames import FirstFrames
from framefuse.results.recent_errors import RecentErrors
from framefuse.results.standing import frames_to_come
from framefuse.results.stream_states import StreamStates
from framefuse.results.stream_statistics import StreamStatistics
from framefuse.types import Partition
from schemas.codec import encode
from schemas.records import DeadLetter, Fused, Outcome, State, StreamState
from schemas.topics import DEAD_LETTERS, SCHEMAS, STATISTICS, STREAM_STATES
from tests.parts.later_schemas import grown, written_with
from tests.parts.logs import Logs
from tests.parts.results import a_fused
from tests.unit.builders import START
from tests.unit.test_statistics import a_result, told

pytestmark = pytest.mark.broker
T = TypeVar("T")
JUNK = b"not Avro"
NOBODYS = written_with(grown(Fused, "never_announced", "int", 0), a_fused(0))


@pytest.fixture
def logs(broker: RunningBroker, topic_prefix: str) -> Iterator[Logs]:
    with Logs(broker.bootstrap, topic_prefix) as logs:
        yield logs


def newer(logs: Logs, records: Sequence[object]) -> list[bytes]:
    """These records of one kind as the next version writes them, which has announced its schema first."""
    schema = grown(type(records[0]), "added_later", "int", 0)
    send(logs, SCHEMAS.name(logs.kafka.prefix), schema.text.encode(), key=schema.fingerprint)
    return [written_with(schema, record) for record in records]


def send(logs: Logs, topic: str, value: bytes, *, key: bytes) -> None:
    producer = Producer(logs.kafka)
    producer.send(topic, value, key=key, partition=0)
    assert producer.flush(20) == 0


def until(found: Callable[[], T], *, within_s: float = 15.0) -> T:
    """Ask until there is an answer, or the time is over."""
    give_up_s = monotonic() + within_s
    while not (answer := found()) and monotonic() < give_up_s:
        continue
    return answer


def test_who_waits_for_outcomes_reads_on_past_what_is_none(logs: Logs) -> None:
    logs.fuse([0])
    with OutcomeReader(logs.kafka) as reader:
        logs.append([JUNK, encode(a_fused(1)), NOBODYS, *newer(logs, [a_fused(2), a_fused(3)])])
        until(lambda: reader.read(0.2) and reader.awaited.done({0: 4}))

        assert reader.awaited.done({0: 4})
        assert reader.awaited.outcomes == {a_fused(1).run_id: Counter({Outcome.FUSED: 3})}


def test_a_broker_that_cannot_name_a_schema_just_now_is_asked_again(
    logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    refresh, failed = SchemaTopic.refresh, list[SchemaTopic]()

    def refreshed_the_second_time(topic: SchemaTopic) -> None:
        if not failed:
            failed.append(topic)
            raise Retry("the broker does not answer")
        refresh(topic)

    monkeypatch.setattr(SchemaTopic, "refresh", refreshed_the_second_time)
    with OutcomeReader(logs.kafka) as reader:
        logs.append([*newer(logs, [a_fused(0)]), encode(a_fused(1))])
        until(lambda: reader.read(0.2) and reader.awaited.done({0: 2}))

        assert failed
        assert reader.awaited.outcomes == {a_fused(1).run_id: Counter({Outcome.FUSED: 2})}


def test_a_replay_keeps_the_outcomes_of_its_own_frames_alone(logs: Logs) -> None:
    with Outcomes(logs.kafka) as outcomes:
        logs.append([JUNK, *newer(logs, [a_fused(number) for number in range(5)])])
        logs.fuse([0, 1], partition=1)
        until(lambda: outcomes.read(0.2, {(0, 1), (0, 3)}) and outcomes.ended.total() == 2)

        assert outcomes.ended == Counter({Outcome.FUSED: 2})


def test_the_end_of_the_log_is_known_whoever_wrote_it(logs: Logs) -> None:
    logs.append([*newer(logs, [a_fused(0), a_fused(1)]), JUNK, NOBODYS])

    assert frames_to_come(logs.kafka) == {0: 2}


def test_how_far_a_group_is_behind_is_known_whoever_wrote_next(logs: Logs) -> None:
    frames = FirstFrames(logs.kafka, SchemaTopic(logs.kafka, announce=False))
    logs.append([JUNK, *newer(logs, [a_fused(7), a_fused(8)])])
    part = Partition(logs.fused, 0)

    found = until(lambda: frames.after({part: 0}, {part: 4}))
    frames.close()

    assert found == {0: 7}


def test_an_error_of_a_newer_worker_is_among_the_last_ones(logs: Logs) -> None:
    letter = DeadLetter(
        topic=logs.frames,
        partition=0,
        offset=7,
        timestamp=START,
        stage="detection",
        error="ModelFailed",
        message="not finite",
        version="9.0.0",
        attempt=0,
    )
    with RecentErrors(logs.kafka, SchemaTopic(logs.kafka, announce=False)) as errors:
        send(logs, DEAD_LETTERS.name(logs.kafka.prefix), JUNK, key=b"gate")
        send(logs, DEAD_LETTERS.name(logs.kafka.prefix), newer(logs, [letter])[0], key=b"gate")

        assert [one.message for one in until(errors.read)] == ["not finite"]


def test_the_state_of_a_stream_is_known_whoever_publishes_it(logs: Logs) -> None:
    state = StreamState(
        stream_id="gate",
        run_id=a_fused(0).run_id,
        state=State.RUNNING,
        published=3,
        dropped=0,
        rejected=0,
        updated_at=datetime.now(UTC),
    )
    with StreamStates(logs.kafka) as states:
        send(logs, STREAM_STATES.name(logs.kafka.prefix), JUNK, key=b"yard")
        send(logs, STREAM_STATES.name(logs.kafka.prefix), newer(logs, [state])[0], key=b"gate")

        assert until(lambda: states.read(0.2)) == {"gate": state}


def test_the_statistics_of_a_stream_are_known_whoever_counts_them(logs: Logs) -> None:
    counted = told(a_result(0), seconds=1)
    with StreamStatistics(logs.kafka) as streams:
        send(logs, STATISTICS.name(logs.kafka.prefix), JUNK, key=b"yard")
        send(logs, STATISTICS.name(logs.kafka.prefix), newer(logs, [counted])[0], key=b"gate")

        assert until(streams.read) == [counted]
