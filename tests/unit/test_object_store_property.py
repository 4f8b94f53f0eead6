"""However batches are cut, and whoever dies or wakes up when: every frame is in exactly one file."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import hypothesis.strategies as st
import obstore
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from obstore.store import MemoryStore

from framefuse.errors import Retry
from sinks.object_store import ObjectStoreSink
from sinks.result_store import ResultStore
from tests.parts.results import CONTEXT, FRAME_INTERVAL, Group, GroupPositions, a_fused, an_output
from tests.unit.builders import START

FRAMES = 40
MIDNIGHT = START.replace(hour=0) + timedelta(days=1)
LOG = {
    # A transaction marker takes an offset after every third record.
    frame_offset + frame_offset // 3: a_fused(
        frame_offset, labels=(), appended_at=MIDNIGHT + (frame_offset - FRAMES // 2) * FRAME_INTERVAL
    )
    for frame_offset in range(FRAMES)
}
END = max(LOG) + 1


class InterruptedStore(ResultStore):
    """A store whose writer is stopped right before a put, while `meanwhile` happens."""

    meanwhile: Callable[[], None] | None = None

    def create(self, key: str, content: bytes) -> None:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        super().create(key, content)


@dataclass(slots=True)
class Writer:
    """A worker with a position of its own; it may have lost its partition without knowing."""

    store: InterruptedStore
    position: int = 0
    sink: ObjectStoreSink = field(init=False)

    def __post_init__(self) -> None:
        self.sink = ObjectStoreSink(self.store, CONTEXT)

    def write(self, group: Group, count: int, *, fenced: bool) -> None:
        """Write the next records and go on after them, or stay where the commit failed."""
        batch = [(at, fused) for at, fused in LOG.items() if at >= self.position][:count]
        if not batch:
            return
        next_offset = batch[-1][0] + 1
        positions = GroupPositions(group, next_offset, fenced=fenced)
        try:
            moved = self.sink.write([an_output(fused, at) for at, fused in batch], positions)
        except Retry:
            return
        self.position = next(iter(moved.values())) if moved else next_offset


class Writers(RuleBasedStateMachine):
    """Three workers of one group; the last to join owns the partition, the others are zombies."""

    def __init__(self) -> None:
        super().__init__()
        self.bucket = MemoryStore()
        self.group = Group()
        self.writers = [Writer(InterruptedStore(self.bucket, "memory")) for _ in range(3)]
        self.owner = 0
        self.was_reset = False

    @rule(who=st.integers(0, 2))
    def join(self, who: int) -> None:
        self.owner = who
        self.writers[who].position = self.group.committed

    @rule(who=st.integers(0, 2))
    def restart(self, who: int) -> None:
        self.writers[who] = Writer(InterruptedStore(self.bucket, "memory"))
        self.join(who)

    @rule(who=st.integers(0, 2), count=st.integers(1, 12), commit_fails=st.booleans())
    def write(self, who: int, count: int, *, commit_fails: bool) -> None:
        self.writers[who].write(self.group, count, fenced=commit_fails or who != self.owner)

    @precondition(lambda self: not self.was_reset)
    @rule(who=st.integers(0, 2), count=st.integers(1, 12), other=st.integers(0, 2), more=st.integers(1, 12))
    def write_stalled_before_its_put(self, who: int, count: int, other: int, more: int) -> None:
        def meanwhile() -> None:
            self.join(other)
            self.write(other, more, commit_fails=False)

        if who != other:
            self.writers[who].store.meanwhile = meanwhile
            self.writers[who].write(self.group, count, fenced=True)
            self.writers[who].store.meanwhile = None

    @rule(to=st.integers(0, END), who=st.integers(0, 2))
    def reset_the_offsets_of_the_group(self, to: int, who: int) -> None:
        self.was_reset = True
        self.group.committed = to
        self.restart(who)

    def frames(self) -> list[int]:
        return [
            row["frame"]["offset"]
            for page in obstore.list(self.bucket)
            for entry in page
            for row in pq.read_table(
                pa.BufferReader(bytes(obstore.get(self.bucket, entry["path"]).bytes())), columns=["frame"]
            ).to_pylist()
        ]

    def teardown(self) -> None:
        """Files are never changed nor removed, so looking once, at the end, finds every fault."""
        if not self.was_reset:
            committed = {fused.frame.offset for at, fused in LOG.items() if at < self.group.committed}
            assert committed <= set(self.frames())
        self.group.committed = 0
        self.restart(0)
        for _ in range(2 * FRAMES):
            self.write(0, 7, commit_fails=False)
        assert sorted(self.frames()) == list(range(FRAMES))
        assert self.group.committed >= END


Writers.TestCase.settings = settings(max_examples=80, stateful_step_count=25, deadline=None)
test_any_cut_any_death_and_any_zombie_leave_every_frame_in_exactly_one_file = Writers.TestCase
