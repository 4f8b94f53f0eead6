"""What `framefuse doctor` says of a real broker; typing what it names makes each line green again."""

import json
import os
import shlex
import signal
import subprocess
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from types import ModuleType

import confluent_kafka as ck
import pytest
from confluent_kafka.admin import AdminClient, NewPartitions  # type: ignore[attr-defined]
from typer.testing import CliRunner

from framefuse.broker.home import RunningBroker
from framefuse.cli.main import app
from framefuse.doctor import broker as broker_check
from framefuse.doctor import clock, stages, topics
from framefuse.doctor.findings import Finding, Scene, Status
from framefuse.kafka import Admin, group_of
from framefuse.settings import KafkaSettings
from tests.parts.logs import Logs
from tests.parts.pipeline import Pipeline, a_pipeline, assert_exactly_one_outcome, frames

pytestmark = pytest.mark.broker
CHECKS = (broker_check, topics, stages, clock)


@pytest.fixture
def scene(broker: RunningBroker, topic_prefix: str, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """Where every command of a test goes, too."""
    monkeypatch.setenv("FRAMEFUSE_BOOTSTRAP", broker.bootstrap)
    monkeypatch.setenv("FRAMEFUSE_PREFIX", topic_prefix)
    return Scene(KafkaSettings(), broker.bootstrap)


@pytest.fixture
def logs(scene: Scene) -> Iterator[Logs]:
    assert scene.bootstrap
    with Logs(scene.bootstrap, scene.kafka.prefix) as logs:
        yield logs


def unwell(scene: Scene, *checks: ModuleType) -> dict[str, Finding]:
    """What is not well, by subject; of these checks, or of all."""
    found = [one for check in checks or CHECKS for one in check.look(scene)]
    return {one.subject: one for one in found if one.status is not Status.OK}


def type_in(command: str) -> None:
    """As a user would."""
    done = CliRunner().invoke(app, shlex.split(command.removeprefix("framefuse ")), catch_exceptions=False)
    assert done.exit_code == 0, done.output


def mended(scene: Scene, check: ModuleType, subject: str, command: str) -> None:
    """The subject is red, this command is named, and makes it green."""
    found = unwell(scene, check)
    assert found[subject].mend == command, found
    type_in(command)
    assert unwell(scene, check) == {}


def configure(scene: Scene, changes: Mapping[str, Mapping[str, str]]) -> None:
    prefix = scene.kafka.prefix
    Admin(scene.kafka).set_topics({f"{prefix}.{suffix}": change for suffix, change in changes.items()})


def test_topics_that_are_missing_or_differ_in_partitions_are_made_and_levelled(scene: Scene) -> None:
    prefix, admin = scene.kafka.prefix, AdminClient({"bootstrap.servers": scene.bootstrap or ""})
    none = unwell(scene)["topics"]  # the broker may hold pipelines of other tests, which it tells
    assert none.found.startswith(f"no topic of {prefix}")
    assert none.mend.startswith("framefuse topics create")
    type_in(none.mend)
    assert unwell(scene, topics) == {}

    for done in admin.create_partitions([NewPartitions(f"{prefix}.depth", 6)]).values():
        done.result(20)
    assert "depth 6" in unwell(scene, topics)["partition counts"].found
    mended(scene, topics, "partition counts", "framefuse topics create")

    for done in admin.delete_topics([f"{prefix}.dead-letters"]).values():
        done.result(20)
    assert unwell(scene, topics)["topics"].found == f"missing: {prefix}.dead-letters"
    mended(scene, topics, "topics", "framefuse topics create")


@pytest.mark.usefixtures("logs")
def test_settings_of_topics_are_all_brought_back_by_one_command(scene: Scene) -> None:
    limit, kept, dates = "max.message.bytes", "retention.ms", "message.timestamp.type"
    configure(
        scene,
        {
            "frames": {dates: "CreateTime", limit: "1048588", kept: "604800000"},
            "fused": {kept: "60000", limit: str(9 << 20)},
            "streams": {"cleanup.policy": "delete"},
            "schemas": {dates: "CreateTime"},
        },
    )

    found = unwell(scene, topics, clock)
    assert found.keys() == {"timestamps", "limits", "retention", "clocks"}
    assert found["retention"].found == (
        "streams has cleanup.policy=delete, expected compact; "
        "fused keeps 1 min, less than workers may be away"
    )
    assert {one.mend for one in found.values()} == {"framefuse topics mend"}
    type_in("framefuse topics mend --dry-run --json")
    assert unwell(scene, topics, clock).keys() == found.keys()
    type_in("framefuse topics mend")
    assert unwell(scene) == {}
    names = [f"{scene.kafka.prefix}.{suffix}" for suffix in ("frames", "fused")]
    frames_log, fused_log = (one.config for one in Admin(scene.kafka).topic_states(names))
    assert (frames_log[kept], frames_log["retention.bytes"]) == ("604800000", str(2 << 30))
    assert (fused_log[kept], fused_log[limit]) == ("86400000", str(9 << 20))


def test_a_group_that_lost_its_log_begins_anew(scene: Scene, logs: Logs) -> None:
    group = group_of(scene.kafka, "depth")
    with_group = {"bootstrap.servers": scene.bootstrap, "group.id": group}
    consumer = ck.Consumer(with_group)
    consumer.commit(offsets=[ck.TopicPartition(logs.frames, 0, 99)], asynchronous=False)
    consumer.close()

    assert unwell(scene, stages)["group ids"].found.startswith(f"{group} stands behind the end of its log")
    mended(scene, stages, "group ids", "framefuse topics mend")


def test_somebody_else_in_a_group_of_ours_is_named(scene: Scene, logs: Logs) -> None:
    stranger = ck.Consumer(
        {
            "bootstrap.servers": scene.bootstrap or "",
            "group.id": group_of(scene.kafka, "join"),
            "client.id": "their-app",
        }
    )
    stranger.subscribe([logs.frames])
    give_up_s = monotonic() + 20
    while not stranger.assignment() and monotonic() < give_up_s:
        stranger.poll(0.1)

    found = unwell(scene, stages)["group ids"]
    stranger.close()

    assert found.status is Status.PROBLEM
    assert "their-app on " in found.found


@pytest.mark.usefixtures("logs")
def test_the_brokers_clock_is_measured_against_ours(scene: Scene) -> None:
    for ahead_s, status in ((3.0, "problem"), (-3.0, "problem"), (0.0, "ok")):
        ahead = timedelta(seconds=ahead_s)

        def behind(by: timedelta = ahead) -> datetime:
            return datetime.now(UTC) - by

        measured = clock.measure(scene.kafka, f"{scene.kafka.prefix}.schemas", now=behind)
        assert measured is not None
        assert abs(measured[0] - ahead) < timedelta(seconds=0.5)
        assert clock.judge(*measured).status.value == status


@pytest.mark.slow
def test_nobody_who_works_is_a_problem_once_frames_wait_and_following_it_ends_them(
    broker: RunningBroker, topic_prefix: str, tmp_path: Path
) -> None:
    with a_pipeline(broker.bootstrap, topic_prefix, tmp_path) as pipeline:
        assert pipeline.publish(frames(12)) == 12

        report, code = doctor(pipeline)
        assert code == 1
        told = [one for one in report["findings"] if one["status"] == "problem"]
        assert [one["subject"] for one in told] == ["workers"] * 3
        assert told[0]["found"] == "detection has none, and 12 frames wait for it"
        for one in told:
            pipeline.start(shlex.split(one["mend"])[-1])
        assert_exactly_one_outcome(pipeline.oracle.outcomes(at_least=12), 12)
        report, code = doctor(pipeline)
        assert (code, report["well"]) == (0, True), report


def doctor(pipeline: Pipeline) -> tuple[dict, int]:  # type: ignore[type-arg]
    """The report as a script reads it, and the exit code."""
    done: subprocess.CompletedProcess[str] = pipeline.run("doctor", "--json")
    return json.loads(done.stdout), done.returncode


def test_a_broker_of_ours_that_is_stuck_is_told_from_one_that_is_away(
    broker: RunningBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRAMEFUSE_BROKER_DATA", str(broker.data_dir))
    scene = Scene(KafkaSettings(bootstrap=None), broker.bootstrap)
    assert {one.status for one in broker_check.look(scene)} == {Status.OK}
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        (found,) = broker_check.look(scene)
    finally:
        os.kill(broker.pid, signal.SIGCONT)

    assert (found.status, found.mend) == (Status.PROBLEM, "framefuse broker down; framefuse broker up")
    assert "stuck" in found.found
