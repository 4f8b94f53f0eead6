"""What `framefuse doctor` says of a pipeline: its topics, stages and letters."""

from dataclasses import dataclass

import pytest

from framefuse.doctor import (
    letters,
    mending,
    stages,
    topics,
)
from framefuse.doctor.findings import Finding, Status
from framefuse.kafka import TopicState
from framefuse.results.watching import StageLag
from schemas.topics import ALL
from tests.unit.findings import lines

# The topics


@dataclass
class Topics:
    """Topics as `topics create` makes them, but for what a test changes."""

    partitions: dict[str, int]
    config: dict[str, dict[str, str]]

    @classmethod
    def well(cls) -> "Topics":
        counts = {one.suffix: 4 if one.per_frame or one.keyed else one.partitions for one in ALL}
        defaults = {"retention.ms": "604800000", "message.timestamp.type": "CreateTime"}  # of the broker
        return cls(counts, {one.suffix: {**defaults, **one.config} for one in ALL})

    @property
    def there(self) -> topics.There:
        return [
            (one, TopicState(f"t.{one.suffix}", self.partitions[one.suffix], self.config[one.suffix]))
            for one in ALL
        ]


def judged(there: topics.There) -> list[Finding]:
    asked = (topics.partitions, topics.limits, topics.retention, topics.timestamps)
    return [ask(there) for ask in asked]


def test_topics_as_they_are_created_are_well() -> None:
    assert {one.status for one in judged(Topics.well().there)} == {Status.OK}


@pytest.mark.parametrize(
    ("suffix", "setting", "value", "subject", "status"),
    [
        ("frames", "max.message.bytes", "1048588", "limits", "problem"),
        ("fused", "retention.ms", "60000", "retention", "problem"),
        ("fused", "retention.ms", "3600000", "retention", "warning"),
        ("streams", "cleanup.policy", "delete", "retention", "problem"),
        ("frames", "retention.bytes", "1048576", "retention", "warning"),
        ("statistics", "segment.ms", "604800000", "retention", "warning"),
        ("frames", "message.timestamp.type", "CreateTime", "timestamps", "problem"),
        ("streams", "message.timestamp.type", "CreateTime", "timestamps", "problem"),
    ],
)
def test_a_setting_of_a_topic_that_does_not_fit_is_mended_by_one_command(
    suffix: str, setting: str, value: str, subject: str, status: str
) -> None:
    found = Topics.well()
    found.config[suffix][setting] = value

    unwell = [one for one in judged(found.there) if one.status is not Status.OK]

    assert lines(unwell) == [(subject, status)]
    assert unwell[0].mend == "framefuse topics mend"
    assert suffix in unwell[0].found
    changed = mending.changes([state for _, state in found.there], "t")
    assert [(one.topic, one.name, one.found) for one in changed] == [(f"t.{suffix}", setting, value)]


@pytest.mark.parametrize(
    ("suffix", "setting", "value"),
    [
        ("frames", "retention.ms", "604800000"),
        ("fused", "retention.ms", "-1"),
        ("frames", "retention.bytes", "-1"),
        ("fused", "max.message.bytes", "16777216"),
        ("statistics", "segment.ms", "60000"),
    ],
)
def test_a_longer_retention_or_a_larger_limit_is_well_and_is_left(
    suffix: str, setting: str, value: str
) -> None:
    found = Topics.well()
    found.config[suffix][setting] = value

    assert {one.status for one in judged(found.there)} == {Status.OK}
    assert mending.changes([state for _, state in found.there], "t") == []


def test_partition_counts_that_differ_are_all_told() -> None:
    found = Topics.well()
    found.partitions["depth"] = 8

    counts = topics.partitions(found.there)

    assert counts.status is Status.PROBLEM
    assert "frames 4" in counts.found
    assert "depth 8" in counts.found
    assert counts.mend == "framefuse topics create"


def test_a_prefix_without_topics_beside_another_with_them_is_told() -> None:
    names = [f"t.{one.suffix}" for one in ALL]

    found = topics.present(names, "t", ["factory"])

    assert found.found == "no topic of t; there are pipelines under the prefix factory"
    assert found.mend == "framefuse topics create --prefix t"


def test_every_command_that_mends_is_led_to_the_topics_that_were_looked_at() -> None:
    found = Topics.well()
    found.partitions["depth"] = 8
    for suffix, setting, value in (
        ("frames", "max.message.bytes", "1048588"),
        ("fused", "retention.ms", "3600000"),
        ("frames", "message.timestamp.type", "CreateTime"),
    ):
        found.config[suffix][setting] = value
    flags, names = " --prefix t", [f"t.{one.suffix}" for one in ALL]

    looks = (topics.partitions, topics.limits, topics.retention, topics.timestamps)
    several = [look(found.there, flags) for look in looks]
    several += [topics.present(names[:1], "t", [], flags), topics.present(names, "t", ["factory"], flags)]
    several += stages.workers([a_stage(workers=0)], 4, {"detection": 7}, flags=flags)
    several += stages.workers([a_stage(workers=6)], 4, {"detection": 0}, flags=flags)
    several += [*stages.group(a_stage(beyond_the_end=True), "t.detection", flags), letters.judge(1, flags)]

    assert {one.status for one in several} == {Status.PROBLEM, Status.WARNING}
    assert [one.mend for one in several if one.mend.count("--prefix t") != 1] == []


# Stages


def a_stage(name: str = "detection", workers: int = 1, **more: object) -> StageLag:
    return StageLag(name, workers, 0, before_outcome=name != "object-store", **more)  # type: ignore[arg-type]


def test_a_stage_that_nobody_runs_and_frames_wait_for_is_a_problem() -> None:
    (found,) = stages.workers([a_stage(workers=0), a_stage("depth")], 4, {"detection": 7, "depth": 0})

    assert (found.status, found.mend) == (Status.PROBLEM, "framefuse run detection")
    assert found.found == "detection has none, and 7 frames wait for it"


def test_a_store_that_nobody_runs_is_only_a_warning_and_nothing_if_nothing_waits() -> None:
    store = a_stage("object-store", workers=0)

    assert lines(stages.workers([store], 4, {"object-store": 7})) == [("workers", "warning")]
    assert lines(stages.workers([store], 4, {"object-store": 0})) == [("workers", "ok")]


def test_a_stage_that_has_workers_and_does_not_move_is_a_problem() -> None:
    store = a_stage("object-store", first_frames={0: 7})
    (found,) = stages.workers([store], 4, {"object-store": 1115}, {"object-store"})

    assert found.status is Status.PROBLEM
    assert found.found == "object-store has 1 and does not move, 1,115 frames wait for it"


def test_more_workers_than_partitions_are_told_to_idle() -> None:
    (found,) = stages.workers([a_stage(workers=6)], 4, {"detection": 0})

    assert (found.status, found.mend) == (Status.WARNING, "framefuse topics grow --partitions 6")


def test_a_group_behind_the_end_of_its_log_and_a_group_with_strangers_are_problems() -> None:
    assert [one.mend for one in stages.group(a_stage(beyond_the_end=True), "t.detection")] == [
        "framefuse topics mend"
    ]
    (found,) = stages.group(a_stage(strangers=["app on 10.0.0.9"]), "t.detection")
    assert "app on 10.0.0.9" in found.found
    assert not stages.group(a_stage(), "t.detection")


def test_letters_that_are_open_are_a_warning() -> None:
    assert letters.judge(0).status is Status.OK
    assert letters.judge(1).found == "1 is open: its record was given up on"
    assert (letters.judge(3).status, letters.judge(3).mend) == (Status.WARNING, "framefuse dead-letters list")
