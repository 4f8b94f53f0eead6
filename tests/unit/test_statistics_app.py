"""The Faust app of the stage `statistics`, made and not started."""

from pathlib import Path
from typing import Any, cast

from framefuse.kafka import group_of
from framefuse.kafka.schema_topic import SchemaTopic
from framefuse.settings import KafkaSettings, load
from processors.statistics.app import Names, StatisticsApp, make_app
from processors.statistics.stage import STAGE, StatisticsSettings
from schemas.topics import FUSED, STATISTICS, STATISTICS_EVENTS


def test_the_stage_declares_every_topic_that_its_group_reads(tmp_path: Path) -> None:
    """`framefuse doctor` takes a member that reads any other for a stranger."""
    kafka = KafkaSettings(bootstrap="127.0.0.1:9", prefix="t")
    called = Names(
        group=group_of(kafka, STAGE.name),
        fused=FUSED.name("t"),
        events=STATISTICS_EVENTS.name("t"),
        statistics=STATISTICS.name("t"),
        partitions=4,
    )
    app: Any = make_app(kafka, "worker", called, tmp_path)
    no_schemas = cast(SchemaTopic, type("NoSchemas", (), {"book": None, "refresh": None}))
    StatisticsApp(app, called, load(StatisticsSettings), no_schemas)

    read = {agent.channel.get_topic_name() for agent in app.agents.values()} | app.tables.changelog_topics

    assert {topic.name("t") for topic in STAGE.sources} == read
