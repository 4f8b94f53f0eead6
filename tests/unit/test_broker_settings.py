"""What the embedded broker is told, read as Kafka reads it."""

from pathlib import Path

import pytest

from framefuse.broker.java import parse_major_version
from framefuse.broker.properties import log4j_configuration, server_properties


def properties_of(text: str) -> dict[str, str]:
    """Java's own rule for the part of the format that we write."""
    pairs = (line.split("=", maxsplit=1) for line in text.splitlines())
    return {key: value.replace("\\\\", "\\") for key, value in pairs}


def a_broker(**extra: str) -> dict[str, str]:
    named = {key.replace("_", "."): value for key, value in extra.items()}
    text = server_properties(data_dir=Path("/data"), port=9092, controller_port=9093, extra=named)
    return properties_of(text)


def test_every_listener_is_on_loopback() -> None:
    broker = a_broker()
    for name in ("listeners", "advertised.listeners"):
        assert broker[name] == "PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093"


def test_no_topic_is_made_by_a_mistyped_name() -> None:
    assert a_broker()["auto.create.topics.enable"] == "false"


def test_a_dead_letter_of_8_mib_fits_into_every_limit_on_its_way() -> None:
    broker = a_broker()
    largest = 8 * 1024 * 1024
    for limit in ("message.max.bytes", "replica.fetch.max.bytes", "socket.request.max.bytes"):
        assert int(broker[limit]) > largest
    assert int(broker["queued.max.request.bytes"]) >= int(broker["socket.request.max.bytes"])


def test_every_topic_of_the_broker_itself_does_with_one_copy() -> None:
    copies = {
        key: value
        for key, value in a_broker().items()
        if key.endswith(("replication.factor", "min.isr", "min.insync.replicas"))
    }
    assert len(copies) == 7
    assert set(copies.values()) == {"1"}


def test_extra_properties_win_over_ours() -> None:
    broker = a_broker(node_id="7", auto_create_topics_enable="true")
    assert broker["node.id"] == "7"
    assert broker["auto.create.topics.enable"] == "true"


def test_a_backslash_in_a_path_survives_the_format() -> None:
    text = server_properties(data_dir=Path("/odd\\name"), port=1, controller_port=2)
    assert properties_of(text)["log.dirs"] == "/odd\\name/log"
    assert properties_of(log4j_configuration(Path("/odd\\name")))["appender.file.fileName"] == "/odd\\name"


@pytest.mark.parametrize(
    ("banner", "version"),
    [
        ('openjdk version "17.0.15" 2025-04-15\nOpenJDK Runtime Environment', 17),
        ('openjdk version "25" 2025-09-16', 25),
        ('java version "1.8.0_402"', 8),
        ("The operation couldn't be completed. Unable to locate a Java Runtime.", None),
    ],
)
def test_the_version_of_a_java_is_read_from_its_banner(banner: str, version: int | None) -> None:
    assert parse_major_version(banner) == version
