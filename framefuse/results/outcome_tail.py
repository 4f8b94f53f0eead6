"""The end of `fused`, followed: which frames have an outcome, without what was computed of them.

What is no outcome is passed over, and the audit names it. Thin: decides nothing and joins no group.
"""

import logging
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Self

from framefuse.errors import Retry
from framefuse.kafka import Message, Reader
from framefuse.kafka.schema_topic import SchemaTopic
from framefuse.settings import KafkaSettings
from schemas.codec import NotARecord
from schemas.heads import FusedHead, decode_head
from schemas.topics import FUSED

log = logging.getLogger("framefuse.outcomes")
_PREFETCH_RECORDS = 20


class OutcomeTail:
    """The heads of `fused` from where it ends now. A context manager."""

    def __init__(self, settings: KafkaSettings, *, before: int = 0, client_id: str) -> None:
        """Connect.

        Args:
            settings: where the broker is.
            before: begin so many offsets before the end; markers of transactions are among them.
            client_id: shown in the broker's logs and metrics.

        Raises:
            BrokerUnavailable, Retry: the broker did not answer.
            Stop: a topic is missing, or we may not read it.
        """
        self._schemas = SchemaTopic(settings, announce=False)
        self._reader = Reader(settings, prefetch=_PREFETCH_RECORDS, client_id=client_id)
        self._fetched = deque[Message]()
        try:
            bounds = self._reader.bounds(FUSED.name(settings.prefix))
        except BaseException:
            self._reader.close()
            raise
        starts = {part: max(low, end - before) for part, (low, end) in bounds.items()}
        self._ends = {part: end for part, (_, end) in bounds.items() if starts[part] < end}
        self._reader.assign(starts)

    @property
    def behind(self) -> bool:
        """Whether something is still to be read of what was there in the beginning."""
        at = self._reader.positions()
        return bool(self._fetched) or any(at.get(part, 0) < end for part, end in self._ends.items())

    def read(self, timeout_s: float) -> Sequence[FusedHead]:
        """What has come, waiting at most `timeout_s`.

        Raises:
            Stop: we may not read it any more.
        """
        if not self._fetched:
            self._fetched.extend(self._reader.poll(timeout_s))
        heads = []
        with suppress(Retry):  # nobody names a schema just now: the same record again next time
            while self._fetched:
                head = self._head(self._fetched[0])
                self._fetched.popleft()
                if head is not None:
                    heads.append(head)
        return heads

    def close(self) -> None:
        """Disconnect."""
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _head(self, message: Message) -> FusedHead | None:
        try:
            return self._schemas.decoded(message.value, FusedHead, by=decode_head)
        except NotARecord as error:
            log.debug("%s-%d@%d left out: %s", message.topic, message.partition, message.offset, error)
            return None
