"""The size of a result against what its topic takes."""

from dataclasses import dataclass
from typing import Any

from framefuse.errors import Stop
from schemas.topics import Topic

_ENVELOPE_BYTES = 512
"""What Kafka adds to a value: the batch, the key, the offsets."""


@dataclass(frozen=True, slots=True)
class SizeLimit:
    """The largest value of one topic."""

    topic: str
    most_bytes: int

    @classmethod
    def of(cls, topic: Topic[Any], prefix: str) -> "SizeLimit":
        """What this topic of ours takes for sure."""
        return cls(topic.name(prefix), int(topic.config["max.message.bytes"]) - _ENVELOPE_BYTES)

    def fitted(self, value: bytes, *, partition: int, offset: int) -> bytes:
        """The value, which the topic can take.

        Args:
            value: a result.
            partition: of the record that it is the result of.
            offset: of that record.

        Raises:
            Stop: it is too large, and would be as often as it is tried.
        """
        if len(value) <= self.most_bytes:
            return value
        raise Stop(
            f"the result of partition {partition} at {offset} has {len(value):,} bytes, {self.topic} takes "
            f"{self.most_bytes:,} at most: let the stage give less, such as fewer objects (--max-det)"
        )
