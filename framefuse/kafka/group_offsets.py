"""What a group has committed, and where its topic ends, as seen from outside the group.

By a consumer that never joins: the admin client's request for the same crashes the whole process while the
broker is still loading the group's coordinator (librdkafka 2.16: `rd_kafka_handle_OffsetFetch` takes the
client for a member of a group).
"""

from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

import confluent_kafka as ck

from framefuse.errors import Retry
from framefuse.kafka.connection import REQUEST_TIMEOUT_S, client_config
from framefuse.kafka.refusals import denied, lacks_right
from framefuse.settings import KafkaSettings

_LATEST = -1


class GroupOffsets:
    """Reads the offsets of one group; a context manager."""

    def __init__(self, settings: KafkaSettings, group: str) -> None:
        self.group, self._settings = group, settings
        # Reading uncommitted: an open transaction of the group does not make the broker hesitate.
        self._consumer = ck.Consumer(
            client_config(settings, "framefuse-lag")
            | {"group.id": group, "enable.auto.commit": False, "isolation.level": "read_uncommitted"}
        )

    def committed(
        self, topic: str, partitions: Iterable[int], *, timeout_s: float = REQUEST_TIMEOUT_S
    ) -> dict[int, int]:
        """Committed offset per partition; partitions without one are left out.

        Raises:
            Retry: the broker did not answer.
            AccessDenied: we may not see them.
        """
        asked = [ck.TopicPartition(topic, number) for number in partitions]
        try:
            found = self._consumer.committed(asked, timeout=timeout_s)
        except ck.KafkaException as error:
            self._refuse(error.args[0], topic)
            raise Retry(f"offsets of {self.group}: {error.args[0].str()}") from None
        for part in found:
            if part.error is not None:
                self._refuse(part.error, topic)
        return _offsets(found)

    def ends(
        self, topic: str, partitions: Iterable[int], *, timeout_s: float = REQUEST_TIMEOUT_S
    ) -> dict[int, int]:
        """Next offset of each partition of the topic, whoever reads it; unknown ones are left out.

        Raises:
            Retry: the broker did not answer.
            AccessDenied: we may not see them.
        """
        asked = [ck.TopicPartition(topic, number, _LATEST) for number in partitions]
        try:
            found = self._consumer.offsets_for_times(asked, timeout=timeout_s)
        except ck.KafkaException as error:
            self._refuse(error.args[0], topic)
            raise Retry(f"ends of {topic}: {error.args[0].str()}") from None
        return _offsets(found)

    def close(self) -> None:
        """Disconnect."""
        self._consumer.close()

    def _refuse(self, error: ck.KafkaError, topic: str) -> None:
        """Stop on what no waiting mends; a group that we may not see is a time-out, and told by `poll`."""
        raw = self._consumer.poll(0)
        told: Any = raw.error() if raw is not None else None
        for one in (error, told):
            if one is not None and lacks_right(one):
                raise denied(self._settings, one, "see", topic=topic, group=self.group) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _offsets(parts: Iterable[ck.TopicPartition]) -> dict[int, int]:
    return {part.partition: part.offset for part in parts if part.error is None and part.offset >= 0}
