"""The small parts of the runtime: intake, freshness, fences, instance names, computation, settings."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Event

import pytest
from prometheus_client import REGISTRY

from framefuse import metrics
from framefuse.errors import BadInput, BrokerUnavailable, Poison, Stop, UnreadableImage
from framefuse.kafka import Message
from framefuse.plugins import load_stage
from framefuse.runtime.compute import Computation
from framefuse.runtime.freshness import expired
from framefuse.runtime.instance import claim
from framefuse.runtime.intake import Intake, refuse_if_expired
from framefuse.runtime.merging import too_many_late
from framefuse.runtime.rejoining import Fences, run_worker
from framefuse.runtime.running import Crew
from framefuse.runtime.waits import SinkWaits
from framefuse.settings import KafkaSettings, StageSettings, load
from framefuse.types import MergeCounts, Prepared, Record
from schemas.codec import SchemaBook, encode
from schemas.records import Derived, Detections, Frame, Status
from tests.unit.builders import START, a_frame, detections_of


def a_message(value: bytes | None, offset: int = 7) -> Message:
    return Message("framefuse.frames", 2, offset, START, b"gate", value, (("traceparent", b"00-1"),))


def an_intake() -> Intake[Frame]:
    return Intake(Frame, SchemaBook(), lambda: None)


# ── intake ──


def test_a_readable_frame_is_taken_with_its_place_in_the_log() -> None:
    taken = an_intake().take(a_message(encode(a_frame())), received_s=1.0, now=START)

    assert taken.refusal is None
    assert (taken.origin.frame.partition, taken.origin.frame.offset) == (2, 7)
    assert taken.origin.stream_id == "gate"


def test_a_value_that_is_no_record_is_refused_under_an_id_that_every_stage_gives_it() -> None:
    one = an_intake().take(a_message(b"junk"), received_s=1.0)
    other = an_intake().take(a_message(b"junk"), received_s=2.0)

    assert one.refusal is not None
    assert one.refusal.status is Status.FAILED
    assert one.origin.stream_id == "unreadable"
    assert one.origin.frame_id == other.origin.frame_id


def test_an_unknown_schema_is_looked_up_once_more_before_it_is_refused() -> None:
    asked = []
    intake = Intake(Frame, SchemaBook(), lambda: asked.append(1))

    taken = intake.take(a_message(b"\xc3\x01" + b"\x42" * 8 + b"\x00"), received_s=1.0)

    assert asked == [1]
    assert taken.refusal is not None
    assert "4242424242424242 is unknown" in taken.refusal.reason


# ── freshness ──


@pytest.mark.parametrize(
    ("age_ms", "sent_after_ms", "fresh"),
    [(400, 0.0, True), (501, 0.0, False), (400, 200.0, False), (-5000, 0.0, True)],
)
def test_a_live_frame_expires_by_its_age_since_capture(
    age_ms: int, sent_after_ms: float, fresh: bool
) -> None:
    frame = replace(a_frame(live=True, freshness_ms=500), capture_to_send_ms=sent_after_ms)

    reason = expired(frame, START, START + timedelta(milliseconds=age_ms))

    assert (reason is None) == fresh


def test_a_file_never_expires() -> None:
    assert expired(a_frame(live=False, freshness_ms=1), START, START + timedelta(days=1)) is None


def test_a_frame_that_grew_old_while_it_waited_is_refused_before_it_is_computed() -> None:
    taken = an_intake().take(
        a_message(encode(a_frame(live=True, freshness_ms=500))), received_s=1.0, now=START
    )

    late = refuse_if_expired(taken, START + timedelta(seconds=1))

    assert late.refusal is not None
    assert late.refusal.status is Status.EXPIRED
    assert late.refusal.error is None


# ── computation ──


class Doubting:
    """Prepares everything but 'cut', refuses 'poison' alone, breaks on any batch with 'bug'."""

    def prepare(self, record: Record[Frame]) -> str:
        if record.value.stream_id == "cut":
            raise UnreadableImage("the JPEG is cut off")
        return record.value.stream_id

    def process(self, batch: Sequence[Prepared[Frame, str]]) -> Sequence[Detections | Poison]:
        if any(prepared.input == "bug" for prepared in batch):
            raise ValueError("a bug")
        return [
            Poison("too hot") if prepared.input == "poison" else detections_of(prepared.record.offset)
            for prepared in batch
        ]

    def refused(self, origin: Derived, status: Status, reason: str) -> Detections:
        return Detections(**origin.head(), status=status, reason=reason)

    def close(self) -> None:
        return


def test_every_record_of_a_batch_gets_its_own_answer_in_order() -> None:
    streams = ["gate", "cut", "poison", "bug", "yard"]
    with ThreadPoolExecutor(2) as threads:
        computation = Computation("detection", Doubting(), threads, load(StageSettings))
        started = [
            computation.start(
                an_intake().take(a_message(encode(a_frame(stream)), offset), received_s=0.0, now=START)
            )
            for offset, stream in enumerate(streams)
        ]
        outputs = computation.finish([*started])

    assert [output.offset for output in outputs] == [0, 1, 2, 3, 4]
    assert [output.value.status for output in outputs if output.value] == [
        "OK",
        "FAILED",
        "FAILED",
        "FAILED",
        "OK",
    ]
    letters = {output.offset: output.letter for output in outputs if output.letter}
    assert {offset: letter.error for offset, letter in letters.items()} == {
        1: "UnreadableImage",
        2: "Poison",
        3: "ProcessorFailed",
    }
    assert letters[1].value == encode(a_frame("cut"))
    assert letters[1].headers[0].name == "traceparent"


# ── workers ──


def test_a_worker_outlasts_its_broker() -> None:
    stop, lives = Event(), []

    class Life:
        def run(self) -> None:
            lives.append(self)
            if len(lives) == 1:
                raise BrokerUnavailable("no broker answers")
            stop.set()

    run_worker("detection", "detection.a", Life, stop, outage_pause_s=0.01)

    assert len(lives) == 2


def test_being_fenced_once_is_a_time_out_and_three_times_a_minute_a_twin() -> None:
    fences = Fences()

    assert [fences.note(at_s) for at_s in (0.0, 50.0, 100.0, 101.0, 102.0)] == [
        False,
        False,
        False,
        True,
        True,
    ]


def test_one_late_record_in_a_hundred_is_borne_and_more_are_told_of() -> None:
    before = MergeCounts(pending=0, received=1000, late=50, duplicates=0, timed_out=50)

    assert not too_many_late(replace(before, received=1100, late=51), before)
    assert too_many_late(replace(before, received=1100, late=52), before)


def test_two_workers_of_one_host_never_get_one_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FRAMEFUSE_INSTANCE", raising=False)
    first, second = claim("g", 0, spool=tmp_path), claim("g", 0, spool=tmp_path)
    assert first.name != second.name

    first.release()
    third = claim("g", 0, spool=tmp_path)

    assert third.name == first.name
    second.release()
    third.release()


def test_the_given_instance_names_the_worker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FRAMEFUSE_INSTANCE", "pod-a")

    assert claim("g", 1, spool=tmp_path).name == "pod-a-1"


def test_a_stage_that_is_not_there_is_answered_with_the_nearest() -> None:
    with pytest.raises(BadInput, match="did you mean detection"):
        load_stage("detecton")


# ── settings ──


class GateSettings(StageSettings):
    section = "gate"
    wait_ms: int = 5


def test_flags_win_over_environment_over_file_over_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load(GateSettings).wait_ms == 5
    Path("framefuse.yaml").write_text("bootstrap: kafka:9092\ngate:\n  wait_ms: 6\n")
    assert load(GateSettings).wait_ms == 6
    monkeypatch.setenv("FRAMEFUSE_GATE_WAIT_MS", "7")
    assert load(GateSettings).wait_ms == 7
    assert load(GateSettings, wait_ms=8).wait_ms == 8
    monkeypatch.delenv("FRAMEFUSE_BOOTSTRAP", raising=False)
    assert load(KafkaSettings).bootstrap == "kafka:9092"


def test_a_file_without_the_section_of_a_stage_leaves_its_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("framefuse.yaml").write_text("prefix: mine\n")

    assert load(GateSettings).wait_ms == 5


def test_a_setting_that_does_not_fit_is_named_without_its_value() -> None:
    with pytest.raises(BadInput, match="wait_ms") as caught:
        load(GateSettings, wait_ms="s3cret")

    assert "s3cret" not in str(caught.value)
    assert isinstance(caught.value, Stop)


# ── what a worker waits for ──


def test_a_worker_that_waits_for_its_sink_is_not_ready_and_says_why_until_it_writes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def waiting() -> float | None:
        labels = {"stage": "keeping", "worker": "keeping.1"}
        return REGISTRY.get_sample_value("framefuse_worker_waits_for_sink", labels)

    waits = SinkWaits("keeping")
    crew = Crew("keeping", ["keeping.1"], lambda name, stop: pytest.fail(name), waits, Event())
    metrics.UP.labels("keeping", "keeping.1").set(1)
    waits.begin("keeping.1", "./results is full: make room")
    assert crew.missing() == "keeping.1 waits for its sink: ./results is full: make room"
    assert waiting() == 1

    with caplog.at_level("INFO"):
        waits.end("keeping.1", written=True)
        waits.end("keeping.1", written=True)
    assert crew.missing() is None
    assert waiting() == 0
    assert caplog.messages == ["keeping.1: its sink takes results again, writing goes on"]
