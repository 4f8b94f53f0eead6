"""Which frame a group will read next from a topic of results: how far it is behind, counted in frames.

Offsets cannot tell: in a topic written by transactions each marker takes one too, so a group seems twice as
far behind where a transaction holds one frame. Every partition holds each frame once and in order, so the
frame of the first record after the committed offset says it exactly.
"""

import time
from collections.abc import Mapping
from contextlib import suppress

from framefuse.kafka import Reader
from framefuse.kafka.schema_topic import SchemaTopic
from framefuse.settings import KafkaSettings
from framefuse.types import Partition
from schemas.codec import NotARecord
from schemas.heads import FusedHead, decode_head

_PATIENCE_S = 1.0
_FETCH_BYTES = 64 << 10


class FirstFrames:
    """Asks the log, and only for what has moved since."""

    def __init__(self, settings: KafkaSettings, schemas: SchemaTopic) -> None:
        self._reader = Reader(settings, prefetch=1, fetch_bytes=_FETCH_BYTES, client_id="framefuse-behind")
        self._schemas = schemas
        self._known: dict[Partition, tuple[int, int]] = {}
        """By partition, the offset asked for last and the frame found there."""

    def after(self, committed: Mapping[Partition, int], ends: Mapping[Partition, int]) -> dict[int, int]:
        """By partition number, the frame of the first record from these offsets on.

        Left out: partitions that hold nothing more but markers, and those that gave nothing in time.

        Raises:
            Retry, Stop: the broker does not answer, or we may not read the topic.
        """
        asked = {part: at for part, at in committed.items() if at < ends.get(part, 0)}
        new = {part: at for part, at in asked.items() if self._known.get(part, (-1, 0))[0] != at}
        if new:
            self._look(new, ends)
        known = {part: self._known[part] for part in asked if part in self._known}
        return {part.number: frame for part, (at, frame) in known.items() if at == asked[part]}

    def close(self) -> None:
        """Disconnect."""
        self._reader.close()

    def _look(self, wanted: Mapping[Partition, int], ends: Mapping[Partition, int]) -> None:
        self._reader.assign(wanted)
        waiting, give_up_s = set(wanted), time.monotonic() + _PATIENCE_S
        while waiting and time.monotonic() < give_up_s:
            for message in self._reader.poll(0.05, 50):
                part = Partition(message.topic, message.partition)
                if part not in waiting:
                    continue
                with suppress(NotARecord):
                    head = self._schemas.decoded(message.value, FusedHead, by=decode_head)
                    self._known[part] = (wanted[part], head.frame.offset)
                    waiting.discard(part)
            positions = self._reader.positions()
            waiting = {part for part in waiting if positions.get(part, 0) < ends[part]}
        self._reader.assign({})
