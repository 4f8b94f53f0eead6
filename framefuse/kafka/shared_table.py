"""A compacted topic that the members of a group share: each has some of its partitions, read from the start.

What the partitions hold is the truth, not how far somebody has read: nothing is ever committed. Partitions
move one by one (cooperative-sticky): a member that comes or goes disturbs only what changes its owner.
"""

import logging
from collections.abc import Sequence
from typing import Protocol

import confluent_kafka as ck

from framefuse.errors import Retry
from framefuse.kafka.connection import client_config
from framefuse.kafka.messages import Message, RawMessage, message_of
from framefuse.kafka.refusals import denied, lacks_right
from framefuse.settings import KafkaSettings

log = logging.getLogger("framefuse.kafka")
SESSION_TIMEOUT_S = 6.0
"""A member that the broker has not heard of for so long loses its partitions to others."""
HEARTBEAT_S = 1.5
_MAX_POLL_INTERVAL_S = 60.0
_BATCH = 500


class TableOwner(Protocol):
    """Who is told what becomes of our share of the table; called from within `poll` and `close`."""

    def assigned(self, partitions: frozenset[int]) -> None:
        """These are ours now; their records follow."""

    def record(self, message: Message) -> None:
        """One record of a partition of ours; no value: its key is gone."""

    def complete(self, partition: int) -> None:
        """All that the partition holds now has been told; called again whenever that is so again."""

    def revoked(self, partitions: frozenset[int]) -> None:
        """These belong to others once this returns: let go of what was done for them."""

    def lost(self, partitions: frozenset[int]) -> None:
        """These may belong to others already."""


class SharedTable:
    """One member of the group, for use by one thread; `poll` serves rebalances in it."""

    def __init__(
        self, settings: KafkaSettings, group: str, topic: str, owner: TableOwner, *, client_id: str
    ) -> None:
        self.group = group
        self._settings, self._topic, self._owner = settings, topic, owner
        self._lost = False
        self._consumer = ck.Consumer(
            client_config(settings, client_id)
            | {
                "group.id": group,
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "partition.assignment.strategy": "cooperative-sticky",
                "session.timeout.ms": int(SESSION_TIMEOUT_S * 1000),
                "heartbeat.interval.ms": int(HEARTBEAT_S * 1000),
                "max.poll.interval.ms": int(_MAX_POLL_INTERVAL_S * 1000),
                "fetch.queue.backoff.ms": 5,
            }
        )
        self._consumer.subscribe([topic], on_assign=self._assign, on_revoke=self._revoke, on_lost=self._lose)

    def poll(self, timeout_s: float) -> None:
        """Tell the owner what has come, waiting at most `timeout_s` for the first record.

        Raises:
            Retry: the membership is lost; make a new one.
            AccessDenied: the broker refuses us.
        """
        raw: RawMessage = self._consumer.poll(timeout_s)
        served = 0
        while raw is not None:
            self._serve(raw)
            served += 1
            raw = self._consumer.poll(0) if served < _BATCH else None
        if self._lost:
            raise Retry(f"{self.group}: the group has given our partitions away")

    def close(self) -> None:
        """Let go of everything and leave the group, so that others take over at once."""
        self._consumer.close()

    def _serve(self, raw: RawMessage) -> None:
        error = raw.error()
        if error is None:
            self._owner.record(message_of(raw))
        elif error.code() == ck.KafkaError._PARTITION_EOF:
            self._owner.complete(raw.partition())
        elif lacks_right(error):
            raise denied(self._settings, error, "read", topic=self._topic, group=self.group)
        elif error.fatal():
            raise Retry(f"{self.group}: {error.str()}")
        else:
            log.warning("%s: %s", self.group, error.str())

    def _assign(self, consumer: ck.Consumer, parts: list[ck.TopicPartition]) -> None:
        log.info("%s: assigned %s more", self.group, _names(parts))
        self._owner.assigned(_numbers(parts))
        consumer.incremental_assign(
            [ck.TopicPartition(part.topic, part.partition, ck.OFFSET_BEGINNING) for part in parts]
        )

    def _revoke(self, consumer: ck.Consumer, parts: list[ck.TopicPartition]) -> None:
        log.info("%s: revoked %s", self.group, _names(parts))
        self._owner.revoked(_numbers(parts))
        consumer.incremental_unassign(parts)

    def _lose(self, consumer: ck.Consumer, parts: list[ck.TopicPartition]) -> None:
        log.warning("%s: lost %s", self.group, _names(parts))
        self._lost = True
        self._owner.lost(_numbers(parts))
        consumer.incremental_unassign(parts)


def _numbers(parts: Sequence[ck.TopicPartition]) -> frozenset[int]:
    return frozenset(part.partition for part in parts)


def _names(parts: Sequence[ck.TopicPartition]) -> str:
    return ", ".join(map(str, sorted(_numbers(parts)))) or "nothing"
