"""When a batch is cut, without a clock."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from framefuse.runtime.batching import Batcher
from framefuse.types import BatchPolicy


def a_batcher(*items: tuple[str, int], **policy: object) -> Batcher[str]:
    """Items as (name, partition), added at one-second steps from 0 on, 10 bytes each."""
    batcher: Batcher[str] = Batcher(BatchPolicy(**policy))  # type: ignore[arg-type]
    for second, (name, partition) in enumerate(items):
        batcher.add(name, partition=partition, size_bytes=10, now_s=float(second))
    return batcher


def test_a_full_batch_is_cut_at_once() -> None:
    batcher = a_batcher(("a", 0), ("b", 1), ("c", 0), max_records=2, max_wait_s=60.0)

    assert batcher.cut(2.0) == ["a", "b"]
    assert batcher.cut(2.0) == ()
    assert len(batcher) == 1


def test_a_batch_that_waited_long_enough_is_cut_as_it_is() -> None:
    batcher = a_batcher(("a", 0), max_records=8, max_wait_s=5.0)

    assert batcher.due_in_s(2.0) == 3.0
    assert batcher.cut(4.9) == ()
    assert batcher.cut(5.0) == ["a"]
    assert batcher.due_in_s(5.0) is None


def test_a_batch_of_a_sink_that_names_by_partition_never_mixes_partitions() -> None:
    batcher = a_batcher(("a", 0), ("b", 1), ("c", 0), max_records=8, max_wait_s=0.0, per_partition=True)

    assert batcher.cut(9.0) == ["a", "c"]
    assert batcher.cut(9.0) == ["b"]


def test_when_nothing_more_may_be_added_the_largest_batch_is_cut_early() -> None:
    batcher = a_batcher(("a", 0), ("b", 1), ("c", 1), max_records=8, max_wait_s=60.0, per_partition=True)

    assert batcher.cut(3.0) == ()
    assert batcher.cut(3.0, pressed=True) == ["b", "c"]


def test_a_batch_ends_before_the_item_that_would_make_it_too_large() -> None:
    batcher = a_batcher(("a", 0), ("b", 0), ("c", 0), max_records=8, max_wait_s=60.0, max_bytes=25)

    assert batcher.cut(3.0) == ["a", "b"]
    assert batcher.size_bytes == 10


def test_an_item_larger_than_the_limit_goes_alone() -> None:
    batcher = a_batcher(("a", 0), ("b", 0), max_records=8, max_wait_s=0.0, max_bytes=5)

    assert batcher.cut(3.0) == ["a"]
    assert batcher.cut(3.0) == ["b"]


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 30)), max_size=40),
    st.integers(1, 5),
    st.booleans(),
)
def test_every_item_comes_out_once_and_in_the_order_of_its_partition(
    added: list[tuple[int, int]], max_records: int, per_partition: bool
) -> None:
    batcher: Batcher[tuple[int, int]] = Batcher(
        BatchPolicy(max_records=max_records, max_wait_s=1.0, max_bytes=60, per_partition=per_partition)
    )
    for number, (partition, size_bytes) in enumerate(added):
        batcher.add((partition, number), partition=partition, size_bytes=size_bytes, now_s=0.0)
    out: list[tuple[int, int]] = []
    while batch := batcher.cut(2.0):
        assert len(batch) <= max_records
        assert not per_partition or len({partition for partition, _ in batch}) == 1
        out.extend(batch)

    assert sorted(number for _, number in out) == list(range(len(added)))
    for partition in range(4):
        numbers = [number for where, number in out if where == partition]
        assert numbers == sorted(numbers)
    assert batcher.size_bytes == 0


@dataclass(frozen=True)
class Cut:
    """A batch of a worker that is always free, in virtual time."""

    at_ms: int
    items: Sequence[tuple[int, int, int]]


def in_virtual_time(arrivals: Sequence[tuple[int, int]], policy: BatchPolicy) -> list[Cut]:
    """What a free worker cuts of (milliseconds, partition); the policy's seconds are milliseconds here."""
    batcher: Batcher[tuple[int, int, int]] = Batcher(policy)
    coming = deque(sorted((at, partition, number) for number, (at, partition) in enumerate(arrivals)))
    cuts, now_ms = list[Cut](), 0
    while coming or len(batcher):
        while batch := batcher.cut(now_ms):
            cuts.append(Cut(now_ms, batch))
        due = batcher.due_in_s(now_ms)
        moments = [coming[0][0]] if coming else []
        now_ms = min([*moments, *([] if due is None else [now_ms + int(due)])], default=now_ms)
        while coming and coming[0][0] <= now_ms:
            item = coming.popleft()
            batcher.add(item, partition=item[1], size_bytes=1, now_s=now_ms)
    return cuts


def test_a_batch_is_filled_from_all_partitions_before_its_deadline() -> None:
    one_frame_each = [(partition, partition) for partition in range(8)]  # one a millisecond
    (cut,) = in_virtual_time(one_frame_each, BatchPolicy(max_records=8, max_wait_s=20))

    assert cut.at_ms == 7
    assert [partition for _, partition, _ in cut.items] == list(range(8))


def test_a_batch_that_does_not_fill_goes_at_its_deadline() -> None:
    cuts = in_virtual_time([(0, 0), (15, 1), (21, 2)], BatchPolicy(max_records=8, max_wait_s=20))

    assert [(cut.at_ms, len(cut.items)) for cut in cuts] == [(20, 2), (41, 1)]


def test_without_a_wait_a_free_worker_takes_what_is_there() -> None:
    cuts = in_virtual_time([(0, 0), (0, 1), (1, 0)], BatchPolicy(max_records=8))

    assert [(cut.at_ms, len(cut.items)) for cut in cuts] == [(0, 2), (1, 1)]


@given(
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 7)), max_size=60),
    st.integers(1, 9),
    st.integers(0, 50),
)
def test_nothing_waits_past_its_deadline_and_only_a_full_batch_goes_before_it(
    arrivals: list[tuple[int, int]], most: int, wait_ms: int
) -> None:
    cuts = in_virtual_time(arrivals, BatchPolicy(max_records=most, max_wait_s=wait_ms))

    for cut in cuts:
        waited_ms = cut.at_ms - min(at for at, _, _ in cut.items)
        assert waited_ms <= wait_ms
        assert len(cut.items) == most or waited_ms == wait_ms
    assert sorted(number for cut in cuts for _, _, number in cut.items) == list(range(len(arrivals)))
