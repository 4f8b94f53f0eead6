"""The few types that everything hangs on: a record from a topic, and what a stage is made of.

A stage = sources → processor → sink. It names its parts in a `Stage`, found through the entry-point group
`framefuse.stages`; the runtime (`worker.py`, `merging.py`) brings the Kafka.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar
from uuid import NAMESPACE_OID, uuid5

import numpy as np
import numpy.typing as npt

from schemas.records import UNREADABLE, DeadLetter, Derived, Frame, FrameRef, Status
from schemas.topics import Topic

if TYPE_CHECKING:
    from framefuse.errors import Poison
    from framefuse.settings import KafkaSettings, StageSettings

Image = npt.NDArray[np.uint8]
"""H×W×3 uint8, BGR, as OpenCV has it."""

T = TypeVar("T")
P = TypeVar("P")
U_co = TypeVar("U_co", covariant=True)
V_co = TypeVar("V_co", covariant=True)
T_contra = TypeVar("T_contra", contravariant=True)


@dataclass(frozen=True, slots=True)
class Record(Generic[T]):
    """One decoded record and where it was; `received_s` is this process's monotonic clock."""

    value: T
    topic: str
    partition: int
    offset: int
    timestamp: datetime
    key: bytes | None = None
    received_s: float = 0.0

    def ref(self) -> FrameRef:
        """The place of this record as others refer to it."""
        return FrameRef(self.topic, self.partition, self.offset, self.timestamp)


def origin_of(record: Record[Frame]) -> Derived:
    """The head of everything that will be computed from a frame."""
    frame = record.value
    return Derived(
        frame_id=frame.frame_id,
        stream_id=frame.stream_id,
        run_id=frame.run_id,
        sequence=frame.sequence,
        captured_at=frame.captured_at,
        attempt=frame.attempt,
        live=frame.live,
        width=frame.width,
        height=frame.height,
        frame=record.ref(),
    )


def unreadable(ref: FrameRef) -> Derived:
    """The head for a frame whose record cannot be read: same id from every stage that meets it."""
    return Derived(
        frame_id=str(uuid5(NAMESPACE_OID, f"{ref.topic}/{ref.partition}/{ref.offset}")),
        stream_id=UNREADABLE,
        run_id="",
        sequence=-1,
        captured_at=ref.appended_at,
        attempt=0,
        live=False,
        width=0,
        height=0,
        frame=ref,
    )


@dataclass(frozen=True, slots=True)
class Prepared(Generic[T, P]):
    """A record with what `Processor.prepare` made of it, and the milliseconds it took so far."""

    record: Record[T]
    input: P
    queue_ms: float
    preprocess_ms: float


class Processor(Protocol[T, P, U_co]):
    """The work of a stage; knows no Kafka.

    Keeps no state between records, or none that matters: any record may come again, here or elsewhere,
    with those before it or without, and a result that depends on what came before says so.
    """

    def prepare(self, record: Record[T]) -> P:
        """The part that runs in threads beside `process`, such as decoding a picture.

        Raises:
            Poison: this record will never work.
        """

    def process(self, batch: Sequence[Prepared[T, P]]) -> Sequence[U_co | Poison]:
        """One answer per record, in order."""

    def refused(self, origin: Derived, status: Status, reason: str) -> U_co | None:
        """The record that says a frame expired or failed; None where the sink has no place for it."""

    def close(self) -> None:
        """Give back what it holds. No call follows."""


@dataclass(frozen=True, slots=True)
class BatchPolicy:
    """When a batch is ready: full, or its oldest record has waited long enough."""

    max_records: int = 1
    max_wait_s: float = 0.0
    max_bytes: int | None = None
    per_partition: bool = False
    """A batch never mixes partitions (sinks that name what they write by partition)."""


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """One partition of one topic, by full name."""

    topic: str
    number: int


@dataclass(frozen=True, slots=True)
class Member:
    """Who a worker is in its group, for the sink that commits for it; made and read by `framefuse.kafka`."""

    metadata: object
    """The client's own."""
    series: str | None
    """Id of the topic `frames`, committed beside each offset."""


class Positions(Protocol):
    """The input offsets that a batch ends at: the next records to read."""

    @property
    def offsets(self) -> Mapping[Partition, int]:
        """Next offset to read, per partition."""

    @property
    def group(self) -> Member | None:
        """Who the worker was in its group when it read the batch, for a transaction."""

    def commit(self, moved: Mapping[Partition, int] | None = None) -> None:
        """Commit `offsets` (or `moved` instead) to the consumer group, synchronously.

        Raises:
            Retry: the group has moved on or the broker did not answer; the batch will be read again.
        """


@dataclass(frozen=True, slots=True)
class Output(Generic[V_co]):
    """What a processor made of one input record, on its way to the sink."""

    value: V_co | None
    """None where the sink has no place for a record that failed."""
    partition: int
    offset: int
    """Of the input record."""
    timestamp: datetime
    """Of the input record."""
    key: bytes | None
    letter: DeadLetter | None = None
    """The input record itself, when it will never work."""
    status: Status = Status.OK
    """How the record ended here."""


@dataclass(frozen=True, slots=True)
class SinkContext:
    """What a sink's entry point, `open(settings, context) -> Sink`, learns of the topics."""

    prefix: str
    """Makes full names: `FRAMES.name(context.prefix)`."""
    topic_ids: Mapping[str, str]
    """Kafka's id of `frames` and of each source, by full topic name; a topic made anew has another."""
    kafka: KafkaSettings | None = None
    """Where the broker is, for a sink that writes to it."""
    to: Topic[Any] | None = None
    """The topic a stage writes to; None for a sink that is no topic."""
    writer_id: str = ""
    """Group and instance: no two live workers have the same."""


class Sink(Protocol[T_contra]):
    """Where a stage's results go. The topic sink is the runtime's own; others are entry points."""

    def write(
        self, batch: Sequence[Output[T_contra]], positions: Positions
    ) -> Mapping[Partition, int] | None:
        """Make the batch and its input positions durable, in this order, before returning.

        Outputs without a value have nothing to write: their letters are in the dead letters already, except
        for the topic sink, which writes them itself, in its transaction.

        Returns:
            None, or where to go on reading instead, when the batch had been written before, differently cut.

        Raises:
            SinkBusy: not now, the same batch again later.
            Stop: it will never work.
        """

    def close(self) -> None:
        """Give back what it holds. No call follows."""


@dataclass(frozen=True, slots=True)
class StageRun:
    """What a stage with a loop of its own (`Stage.main`) is given."""

    kafka: KafkaSettings
    """Where the broker is."""
    name: str
    """Group and instance: no two live processes have the same."""
    stop: threading.Event
    """Set when it shall drain and return."""
    ready: threading.Event
    """For it to set once it does its work, for /readyz."""


S = TypeVar("S", bound="StageSettings")


@dataclass(frozen=True, slots=True)
class Stage(Generic[S]):
    """One consumer group doing one job. Exactly one of `build`, `merge`, `main` is given."""

    name: str
    settings: type[S]
    sources: tuple[Topic[Any], ...] = ()
    """All topics that its group has partitions of: a member with any other counts as a stranger."""
    to: Topic[Any] | str | None = None
    """A topic (one transaction a batch), or a sink by its entry-point name."""
    build: Callable[[S], Processor[Any, Any, Any]] | None = None
    merge: Callable[[S], Merge] | None = None
    main: Callable[[S, StageRun], None] | None = None
    """A loop of its own, until `StageRun.stop` is set."""
    batch: Callable[[S], BatchPolicy] = lambda settings: BatchPolicy()
    """How its batches are cut."""


@dataclass(frozen=True, slots=True)
class Emission:
    """What a merge hands on: one record of partition `partition` of the output topic."""

    value: Any
    key: bytes | None


@dataclass(frozen=True, slots=True)
class Safe:
    """What may be committed for one partition: a position for each input topic suffix, and a note."""

    offsets: Mapping[str, int]
    note: str


@dataclass(frozen=True, slots=True)
class MergeCounts:
    """Records that a merge has taken, by what became of them."""

    pending: int
    """Wait for another source now."""
    received: int
    late: int
    """Came after their frame was decided."""
    duplicates: int
    timed_out: int
    """Frames decided without a source that was silent for too long."""


class Merge(Protocol):
    """Brings several sorted logs together, partition by partition. Pure: time comes in as an argument."""

    def assigned(self, partition: int, notes: Sequence[str], ends: Mapping[str, int]) -> None:
        """Take over a partition.

        Args:
            partition: its number, the same in every source.
            notes: the notes committed with each source's position, empty strings left out.
            ends: the end offset of each source (by topic suffix) at assignment.
        """

    def revoked(self, partition: int) -> None:
        """Forget a partition."""

    def add(self, suffix: str, record: Record[Any]) -> None:
        """Take one record of the source with this suffix."""

    def reached(self, suffix: str, partition: int, position: int) -> None:
        """The source has been read up to `position` (exclusive), records or not."""

    def advance(self, partition: int, now: datetime) -> Sequence[Emission]:
        """What can be decided at `now`, in order."""

    def safe(self, partition: int, positions: Mapping[str, int]) -> Safe:
        """What to commit, when each source (by suffix) has been read up to `positions`."""

    def note_of(self, last: Derived) -> str:
        """The note of who had handed on this record last."""

    def counts(self) -> MergeCounts:
        """What has happened since it was made, for metrics and warnings."""

    def crowded(self, suffix: str, partition: int) -> bool:
        """Whether this source runs too far ahead of the others and must be paused."""
