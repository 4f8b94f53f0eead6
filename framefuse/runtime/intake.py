"""From a Kafka message to a record that a processor can take, or to the reason why not."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from framefuse.errors import Poison, UndecodableRecord
from framefuse.kafka.messages import Message
from framefuse.runtime.freshness import expired
from framefuse.types import Record, origin_of, unreadable
from schemas.codec import NotARecord, SchemaBook, decode_of_any_age
from schemas.records import UNREADABLE, Derived, Frame, Head, Status
from schemas.topics import FRAME_ID, STREAM_ID, valid_stream_id

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a record gets no result; `error` is set when it also becomes a dead letter."""

    status: Status
    reason: str
    error: Poison | None = None


@dataclass(frozen=True, slots=True)
class Taken(Generic[T]):
    """A message that has been read: its record and head, or the refusal that takes the record's place."""

    message: Message
    origin: Derived
    record: Record[T] | None
    refusal: Refusal | None = None

    @property
    def attempt(self) -> int:
        """Of the frame; 0 where it cannot be read."""
        return self.origin.attempt


class Intake(Generic[T]):
    """Decodes the messages of one topic."""

    def __init__(self, kind: type[T], book: SchemaBook, refresh: Callable[[], None]) -> None:
        """Make an intake for records of type `kind`.

        Args:
            kind: the record type.
            book: schemas by fingerprint.
            refresh: reads the topic of schemas again into `book`; called when a fingerprint is unknown.
        """
        self._kind, self._book, self._refresh = kind, book, refresh

    def take(self, message: Message, *, received_s: float, now: datetime | None = None) -> Taken[T]:
        """Read one message; what cannot be read is refused, never raised."""
        try:
            value = self._decode(message.value)
        except NotARecord as error:
            poison = UndecodableRecord(str(error))
            head = unreadable(
                Record(None, message.topic, message.partition, message.offset, message.timestamp).ref()
            )
            return Taken(message, head, None, Refusal(Status.FAILED, str(poison), poison))
        record = Record(
            value,
            message.topic,
            message.partition,
            message.offset,
            message.timestamp,
            message.key,
            received_s,
        )
        taken = Taken(message, _origin(record), record)
        return refuse_if_expired(taken, now or datetime.now(UTC))

    def _decode(self, value: bytes | None) -> T:
        found = decode_of_any_age(value, self._kind, self._book, self._refresh)
        if isinstance(found, Head):
            check_ids(found)
        return found


def check_ids(head: Head) -> None:
    """Let only ids pass that can stand in a file name, a metric and on a terminal, whoever wrote them.

    Raises:
        NotARecord: a stream id, run id or frame id that is none; a frame with a negative sequence, attempt
            or budget.
    """
    ours = isinstance(head, Derived) and head.stream_id == UNREADABLE
    if not (ours or valid_stream_id(head.stream_id)):
        raise NotARecord(f"stream id {head.stream_id[:80]!r}: expected 1 to 64 of A-Z a-z 0-9 . _ -")
    if not (ours or STREAM_ID.fullmatch(head.run_id)):
        raise NotARecord(f"run id {head.run_id[:80]!r}: expected a UUID")
    if FRAME_ID.fullmatch(head.frame_id) is None:
        raise NotARecord(f"frame id {head.frame_id[:80]!r}: expected a UUID")
    if isinstance(head, Frame) and min(head.sequence, head.attempt, head.freshness_ms or 0) < 0:
        raise NotARecord(
            f"sequence {head.sequence}, attempt {head.attempt}, freshness {head.freshness_ms}: "
            "expected 0 or more"
        )


def refuse_if_expired(taken: Taken[T], now: datetime) -> Taken[T]:
    """The same record, refused if it is a live frame that has become too old."""
    record = taken.record
    if record is None or taken.refusal is not None or not isinstance(record.value, Frame):
        return taken
    reason = expired(record.value, record.timestamp, now)
    if reason is None:
        return taken
    return Taken(taken.message, taken.origin, record, Refusal(Status.EXPIRED, reason))


def _origin(record: Record[Any]) -> Derived:
    if isinstance(record.value, Frame):
        return origin_of(record)
    if isinstance(record.value, Derived):
        return record.value
    raise TypeError(f"a stage reads frames or what is derived from them, not {type(record.value).__name__}")
