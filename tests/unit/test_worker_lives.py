"""A worker's life in its group, on a played log: what is committed has been written, whatever fails when."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from framefuse.errors import AccessDenied, Retry, SinkBusy, Stop
from framefuse.kafka import Assignment, Message
from framefuse.runtime import worker
from framefuse.runtime.waits import SinkWaits
from framefuse.runtime.worker import Membership, Parts
from framefuse.types import BatchPolicy, Output, Partition, Positions
from schemas.records import Status

SOURCE = Partition("source", 0)
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


class PlayedConsumer:
    """A partition of records without end; `committed` is what the group would begin with next."""

    def __init__(self, committed: int = 0) -> None:
        self.committed, self.at, self.closed = committed, committed, False
        self.refusal: Exception | None = None
        self.rebalance = threading.Event()
        self.assignments = 0
        self.on_assigned: Callable[[Mapping[Partition, Assignment]], None]
        self.on_revoked: Callable[[frozenset[Partition]], None]

    def join(self, **callbacks: Any) -> "PlayedConsumer":
        self.on_assigned, self.on_revoked = callbacks["on_assigned"], callbacks["on_revoked"]
        return self

    def poll(self, timeout_s: float, limit: int) -> Sequence[Message]:
        if self.rebalance.is_set() or not self.assignments:
            if self.assignments:
                self.on_revoked(frozenset({SOURCE}))
            self.rebalance.clear()
            self.at, self.assignments = self.committed, self.assignments + 1
            self.on_assigned({SOURCE: Assignment(self.at, "", 0)})
            return []
        time.sleep(min(timeout_s, 0.001))
        first, self.at = self.at, self.at + min(limit, 4)
        return [Message("source", 0, offset, LONG_AGO, None, b"x") for offset in range(first, self.at)]

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.committed = offsets.get(SOURCE, self.committed)

    def positions(self) -> dict[Partition, int]:
        return {SOURCE: self.at}

    def lag(self, committed: Mapping[Partition, int]) -> int:
        return 0

    def group_metadata(self) -> None:
        return None

    def pause(self, parts: object) -> None: ...

    def resume(self, parts: object) -> None: ...

    def close(self) -> None:
        self.closed = True


class Numbers:
    """Computes nothing, slowly, and stops at one record."""

    rung = 0

    def __init__(self, *, stop_at: int | None = None) -> None:
        self._stop_at = stop_at

    def start(self, taken: Message) -> Message:
        return taken

    def finish(self, batch: Sequence[Message]) -> list[Output[Any]]:
        if any(message.offset == self._stop_at for message in batch):
            raise Stop("the model is broken")
        time.sleep(0.01)
        return [
            Output(message.offset, 0, message.offset, LONG_AGO, None, None, Status.OK) for message in batch
        ]


class Kept:
    """A sink that keeps what it is given and then commits, as the object store does."""

    def __init__(self, *, busy_until: Callable[[], bool] = lambda: True) -> None:
        self.offsets: list[int] = []
        self.tries = 0
        self._free = busy_until

    def write(self, batch: Sequence[Output[Any]], positions: Positions) -> None:
        self.tries += 1
        if not self._free():
            raise SinkBusy("the store is full", retry_after_s=60.0)
        self.offsets += [output.offset for output in batch]
        positions.commit()

    def close(self) -> None: ...


class AsItIs:
    def take(self, message: Message, *, received_s: float) -> Message:
        return message


def a_life(consumer: PlayedConsumer, sink: Kept, computation: Numbers, stop: threading.Event) -> Membership:
    parts = Parts(
        stage="own",
        name="own-0",
        source=SOURCE.topic,
        intake=cast(Any, AsItIs()),
        computation=cast(Any, computation),
        policy=BatchPolicy(max_records=8),
        consumer=cast(Any, consumer.join),
        sink=lambda: sink,
        waits=SinkWaits("own"),
    )
    return Membership(parts, stop)


def ended(life: Membership) -> BaseException | None:
    """What a life ended with; fails if it does not end."""
    found: list[BaseException | None] = []

    def live() -> None:
        try:
            life.run()
        except BaseException as error:
            found.append(error)
        else:
            found.append(None)

    thread = threading.Thread(target=live, daemon=True)
    thread.start()
    thread.join(20)
    assert found, "the life did not end"
    return found[0]


@pytest.mark.parametrize("stop_at", range(10, 90, 5))
def test_what_was_in_flight_when_the_processor_failed_is_not_committed(
    stop_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has no result and no letter, so the next worker must read it again."""
    monkeypatch.setattr(worker, "_WATCH_INTERVAL_S", 0.0)
    consumer, sink = PlayedConsumer(), Kept()

    error = ended(a_life(consumer, sink, Numbers(stop_at=stop_at), threading.Event()))

    assert isinstance(error, Stop)
    assert sink.offsets == list(range(len(sink.offsets)))
    assert consumer.committed == len(sink.offsets) <= stop_at


@pytest.mark.parametrize("refusal", [AccessDenied("no right to commit"), Retry("the group has moved on")])
def test_a_commit_that_a_sink_is_refused_ends_the_life_and_leaves_the_group(
    refusal: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "_WATCH_INTERVAL_S", float("inf"))
    consumer = PlayedConsumer()
    consumer.refusal = refusal

    assert ended(a_life(consumer, Kept(), Numbers(), threading.Event())) is refusal
    assert consumer.closed


def test_a_rebalance_while_the_sink_is_busy_drops_the_batch_and_not_the_membership() -> None:
    """Workers that left would share out the partitions anew each time, and make each other leave."""
    consumer, stop, free = PlayedConsumer(), threading.Event(), threading.Event()
    sink = Kept(busy_until=free.is_set)

    def meanwhile() -> None:
        for at in (1, 2):
            while sink.tries < at:
                time.sleep(0.001)
            if at == 2:
                free.set()
            consumer.rebalance.set()
        while len(sink.offsets) < 50:
            time.sleep(0.001)
        stop.set()

    threading.Thread(target=meanwhile, daemon=True).start()

    assert ended(a_life(consumer, sink, Numbers(), stop)) is None
    assert consumer.assignments == 3
    assert sink.offsets == list(range(len(sink.offsets)))
    assert consumer.committed == len(sink.offsets)
