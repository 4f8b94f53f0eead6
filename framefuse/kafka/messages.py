"""What comes from and goes to a topic, free of the client library's types."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from operator import methodcaller
from typing import Any

log = logging.getLogger("framefuse.kafka")
RawMessage = Any
"""A message of the client library, whose stubs say that every part of it may be missing."""
RawError = Any
EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Message:
    """One record as the broker keeps it; `timestamp` is the broker's clock on LogAppendTime topics."""

    topic: str
    partition: int
    offset: int
    timestamp: datetime
    key: bytes | None
    value: bytes | None = field(repr=False)
    headers: Sequence[tuple[str, bytes | None]] = ()


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of a sent record; `error` is None when the broker acknowledged it."""

    topic: str
    partition: int
    offset: int
    timestamp: datetime | None
    error: str | None
    denied: bool = False
    """Whether it was refused because a right is missing: no waiting mends it."""


def timestamp_of(raw: RawMessage) -> datetime:
    """The timestamp of a client message; the epoch where it has none."""
    kind, milliseconds = raw.timestamp()
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if kind else EPOCH


def message_of(raw: RawMessage) -> Message:
    """A client message without error as ours."""
    return Message(
        raw.topic(),
        raw.partition(),
        raw.offset(),
        timestamp_of(raw),
        raw.key(),
        raw.value(),
        _headers(raw),
    )


# The client returns a list *and* leaves an error behind for a name that is no text. A plain call that the
# interpreter has made fast does not look for that, and the error comes up in whatever is called next.
_ask_for_headers = methodcaller("headers")


def _headers(raw: RawMessage) -> Sequence[tuple[str, bytes | None]]:
    """Headers whose names are UTF-8, as the protocol says; none of a record with another one."""
    try:
        return _ask_for_headers(raw) or ()
    except (SystemError, UnicodeDecodeError):
        # Whoever may write can give such a name. Asked again the client would crash.
        log.warning(
            "%s-%d at %d: headers left out, a name is not UTF-8", raw.topic(), raw.partition(), raw.offset()
        )
        return ()
