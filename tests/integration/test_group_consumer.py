"""A member of a consumer group on the real broker, through rebalances."""

import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import pytest

from framefuse.broker.home import RunningBroker
from framefuse.kafka import Assignment, GroupConsumer, Message
from framefuse.settings import KafkaSettings
from framefuse.types import Partition
from tests.parts.logs import Logs
from tests.unit.builders import a_frame

pytestmark = pytest.mark.broker


class Member:
    """One member; what it owns, and what it has read."""

    def __init__(self, settings: KafkaSettings, topic: str) -> None:
        self.owned: frozenset[Partition] = frozenset()
        self.read: list[Message] = []
        self.consumer = GroupConsumer(
            settings,
            f"{settings.prefix}.group",
            [topic],
            client_id="member",
            on_assigned=self._assigned,
            on_revoked=self._revoked,
            on_overtaken=lambda overtaken: None,
        )

    def _assigned(self, starts: Mapping[Partition, Assignment]) -> None:
        self.owned = frozenset(starts)

    def _revoked(self, parts: frozenset[Partition]) -> None:
        self.owned -= parts


@contextmanager
def a_member(settings: KafkaSettings, topic: str) -> Iterator[Member]:
    member = Member(settings, topic)
    try:
        yield member
    finally:
        member.consumer.close()


def until(members: Sequence[Member], counts: Sequence[int]) -> None:
    """Poll all until they own that many partitions each."""
    give_up_s = time.monotonic() + 30
    while [len(member.owned) for member in members] != list(counts):
        assert time.monotonic() < give_up_s, [member.owned for member in members]
        for member in members:
            member.read += member.consumer.poll(0.1, 100)


def test_what_was_paused_when_the_group_was_shared_out_anew_is_read_again(
    broker: RunningBroker, topic_prefix: str
) -> None:
    """The pause was of the assignment before; whoever gets the partition knows nothing of it."""
    with (
        Logs(broker.bootstrap, topic_prefix, partitions=2) as logs,
        a_member(logs.kafka, logs.frames) as first,
    ):
        until([first], [2])
        first.consumer.pause(first.owned)
        with a_member(logs.kafka, logs.frames) as second:
            until([first, second], [1, 1])
        until([first], [2])
        for partition in range(2):
            logs.publish([a_frame("gate", 1)], partition=partition)
        give_up_s = time.monotonic() + 10
        while len(first.read) < 2 and time.monotonic() < give_up_s:
            first.read += first.consumer.poll(0.1, 100)
        assert {message.partition for message in first.read} == {0, 1}


@pytest.mark.skipif(
    shutil.which("kcat") is None, reason="needs kcat, which gives headers any bytes as a name"
)
def test_a_header_whose_name_is_no_text_costs_the_headers_and_not_the_record(
    broker: RunningBroker, topic_prefix: str
) -> None:
    """The client fails on it: a worker that did, too, would fail on that record for ever."""
    count = 50  # so many that the interpreter has made its calls fast
    with Logs(broker.bootstrap, topic_prefix, partitions=1) as logs:
        for name in (b"gr\xf6\xdfe", b"size"):
            command = [b"kcat", b"-P", b"-b", broker.bootstrap.encode(), b"-t", logs.frames.encode()]
            lines = b"a value\n" * count
            subprocess.run([*command, b"-H", name + b"=1"], input=lines, check=True, timeout=30)
        with a_member(logs.kafka, logs.frames) as member:
            while len(member.read) < 2 * count:
                member.read += member.consumer.poll(0.1, 100)

    assert [message.value for message in member.read] == [b"a value"] * 2 * count
    assert [message.headers for message in member.read] == [()] * count + [[("size", b"1")]] * count
