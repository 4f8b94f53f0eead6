"""`framefuse audit` against topics whose faults are known, because the test wrote them."""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import typer
from typer.testing import CliRunner, Result

from framefuse.audit.offences import Offence
from framefuse.audit.topics import Scope, audit
from framefuse.broker.home import RunningBroker
from framefuse.cli.audit import audit as command
from framefuse.errors import Stop
from framefuse.kafka import Producer
from framefuse.settings import KafkaSettings
from schemas.codec import encode
from schemas.records import Depth, Frame, Missing, Outcome, Side, Status
from schemas.topics import DEPTH
from tests.parts.logs import Logs, of_stream
from tests.parts.results import a_fused, an_expired
from tests.unit.builders import START, a_frame, origin_at

pytestmark = pytest.mark.broker


@pytest.fixture
def logs(broker: RunningBroker, topic_prefix: str) -> Iterator[Logs]:
    with Logs(broker.bootstrap, topic_prefix) as logs:
        yield logs


def frames(count: int, stream: str = "gate") -> list[Frame]:
    return [a_frame(stream, sequence) for sequence in range(count)]


def run(logs: Logs, *arguments: str) -> Result:
    app = typer.Typer()
    app.command()(command)
    assert logs.kafka.bootstrap
    return CliRunner().invoke(
        app, [*arguments, "--bootstrap", logs.kafka.bootstrap, "--prefix", logs.kafka.prefix]
    )


def offenders(logs: Logs, stream: str | None = None) -> Sequence[tuple[Offence, int, int]]:
    found = audit(logs.kafka, Scope(stream)).offenders
    return [(one.offence, one.place.partition, one.place.offset) for one in found]


def test_books_that_balance_end_with_0_and_show_each_outcome(logs: Logs) -> None:
    logs.publish(frames(6))
    logs.publish(frames(3, "yard"), partition=1)
    logs.fuse([0, 1, an_expired(2)])
    logs.fuse([3])
    logs.fuse([0, 1, 2], partition=1)

    result = run(logs, "--json")

    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert (told["published"], told["fused"], told["expired"], told["in_flight"]) == (9, 6, 1, 2)
    assert told["balanced"] is True
    assert (told["missing"], told["duplicated"], told["out_of_order"]) == (0, 0, 0)


def test_each_fault_is_found_where_it_is(logs: Logs) -> None:
    logs.publish(frames(8))
    logs.publish(frames(4, "yard"), partition=1)
    logs.fuse([0, 1, 1, 3, 5, 4, 7])
    logs.fuse([0, 1, 2, 3], partition=1)

    result = run(logs)

    assert offenders(logs) == [
        (Offence.DUPLICATED, 0, 1),
        (Offence.MISSING, 0, 2),
        (Offence.OUT_OF_ORDER, 0, 4),
        (Offence.MISSING, 0, 6),
    ]
    assert result.exit_code == 1
    assert "do not balance" in result.stdout
    assert f"{logs.frames}-0@2" in result.stdout
    named = [one for one in audit(logs.kafka).offenders if one.offence is Offence.MISSING]
    assert [(one.stream_id, one.sequence) for one in named] == [("gate", 2), ("gate", 6)]


def test_what_an_aborted_transaction_wrote_does_not_count(logs: Logs) -> None:
    logs.publish(frames(4))
    logs.fuse([0, 1])
    logs.fuse([2, 3], commit=False)
    logs.fuse([2])

    books = audit(logs.kafka)

    assert books.balanced
    assert books.ledger.in_words() == "4 published = 3 fused + 1 in flight"


def test_outcomes_of_frames_that_retention_has_removed_count(logs: Logs) -> None:
    logs.publish(frames(6))
    logs.fuse(range(5))
    logs.retain(logs.frames, 4)

    assert audit(logs.kafka).ledger.in_words() == "6 published = 5 fused + 1 in flight"


def test_frames_whose_outcomes_retention_has_removed_are_not_counted(logs: Logs) -> None:
    logs.publish(frames(6))
    logs.fuse(range(5))
    logs.retain(logs.fused, 2)

    result = run(logs)

    assert audit(logs.kafka).ledger.in_words() == "4 published = 3 fused + 1 in flight"
    assert "without what retention removed: partition 0 from 2" in result.stdout


def test_a_replay_takes_the_place_of_its_dead_letter(logs: Logs) -> None:
    first, again = a_fused(0), a_fused(1)
    logs.publish([a_frame("gate", 0), a_frame("gate", 0, attempt=1)])
    logs.fuse(
        [replace(first, outcome=Outcome.DEAD_LETTER), replace(again, frame_id=first.frame_id, attempt=1)]
    )

    assert audit(logs.kafka).ledger.in_words() == "1 published = 1 fused"


def test_the_books_of_one_stream(logs: Logs) -> None:
    logs.publish([a_frame("gate" if n % 2 else "yard", n) for n in range(8)])
    logs.fuse([of_stream(a_fused(n), "gate" if n % 2 else "yard") for n in (0, 1, 3, 4)])

    gate, yard = audit(logs.kafka, Scope("gate")), audit(logs.kafka, Scope("yard"))

    assert gate.balanced
    assert gate.ledger.in_words() == "4 published = 2 fused + 2 in flight"
    assert offenders(logs, "yard") == [(Offence.MISSING, 0, 2)]
    assert yard.ledger.in_words() == "4 published = 2 fused + 1 in flight + 1 unaccounted for"


def test_a_stream_that_does_not_exist_has_no_books(logs: Logs) -> None:
    logs.publish(frames(1))
    logs.fuse([0])

    assert run(logs, "--stream", "gate").exit_code == 0
    refused = run(logs, "--stream", "nostream")
    assert "no stream nostream was ever published" in str(refused.exception)


def test_the_name_of_a_stream_is_shown_and_never_acted_upon(logs: Logs) -> None:
    logs.publish([a_frame("[/x]\x1b[2J", 0)])
    logs.fuse([of_stream(a_fused(0), "[/x]\x1b[2J")] * 2)

    told = run(logs)

    assert told.exit_code == 1
    assert "[/x]\\x1b[2J" in told.stdout


def test_a_record_that_is_no_result_is_an_offender(logs: Logs) -> None:
    logs.publish(frames(1))
    logs.append([b"not Avro"])

    assert offenders(logs) == [(Offence.UNREADABLE, 0, 0)]


def test_only_frames_since_a_moment_count(logs: Logs) -> None:
    logs.publish(frames(3))
    time.sleep(0.05)
    moment = datetime.now(UTC)
    time.sleep(0.05)
    logs.publish(frames(4))
    logs.fuse([0, 2, 3, 4, 5])

    everything, recent = audit(logs.kafka), audit(logs.kafka, Scope(since=moment))

    assert [offender.place.offset for offender in everything.offenders] == [1]
    assert recent.balanced
    assert recent.ledger.in_words() == "4 published = 3 fused + 1 in flight"
    assert run(logs, "--since", "1h").exit_code == 1
    assert "expected 10m, 2h, 1d" in str(run(logs, "--since", "soon").exception)


def test_a_half_that_was_left_out_is_an_offender_unless_it_was_late(logs: Logs) -> None:
    logs.publish(frames(3))
    lost, late = ((Missing(Side.DEPTH, why),) for why in ("lost: no record", "late: timed out"))
    partial = [replace(a_fused(at), outcome=Outcome.PARTIAL, missing=lost) for at in range(3)]
    logs.fuse([replace(partial[0], live=True, missing=late), *partial[1:]])
    producer = Producer(logs.kafka)
    for at in (0, 1):
        half = Depth(**origin_at(at, appended_at=START).head(), status=Status.OK)
        producer.send(DEPTH.name(logs.kafka.prefix), encode(half), key=b"gate", partition=0)
    assert producer.flush(20) == 0

    assert offenders(logs) == [(Offence.HALF_LEFT_OUT, 0, 1)]
    assert audit(logs.kafka).late == 1


def test_an_empty_pipeline_balances(logs: Logs) -> None:
    assert run(logs).exit_code == 0


def test_without_topics_it_says_what_makes_them(broker: RunningBroker) -> None:
    with pytest.raises(Stop, match="framefuse topics create"):
        audit(KafkaSettings(bootstrap=broker.bootstrap, prefix="nobody-made-this"))
