"""How a stream is, told to whoever asks: on the topic `stream-states`, and as a metric.

Told at every change, and once in a while in between, so that a publisher that was killed is noticed. Not
thread-safe but for reading `state`: its publisher calls it from one thread at a time.
"""

import time
from datetime import UTC, datetime

from framefuse.metrics import STREAMS
from framefuse.publishing.decisions import Sums
from framefuse.publishing.outlet import Outlet
from schemas.records import State, StreamState

EVERY_S = 5.0


class StateTeller:
    """Tells of one run of one stream."""

    def __init__(self, outlet: Outlet, stream_id: str, run_id: str) -> None:
        self._outlet, self._stream_id, self._run_id = outlet, stream_id, run_id
        self._told_s = 0.0
        self._state: State | None = None

    @property
    def state(self) -> State:
        """What was told last; STARTING before anything was."""
        return self._state or State.STARTING

    def tell(self, state: State, sums: Sums, *, ended: str | None = None) -> None:
        """Tell this now.

        Args:
            state: how the stream is.
            sums: what became of its pictures so far.
            ended: why, when it did.
        """
        self._count(state)
        self._told_s = time.monotonic()
        self._outlet.tell(
            StreamState(
                stream_id=self._stream_id,
                run_id=self._run_id,
                state=state,
                published=sums.published,
                dropped=sums.dropped,
                rejected=sums.rejected,
                last_sequence=sums.last_sequence,
                ended=ended,
                updated_at=datetime.now(UTC),
            )
        )

    def turn(self, state: State, sums: Sums) -> None:
        """Tell it if it is new, or if nothing was told for some seconds."""
        if state is not self._state or time.monotonic() - self._told_s >= EVERY_S:
            self.tell(state, sums)

    def _count(self, state: State) -> None:
        if self._state not in (None, State.ENDED):
            STREAMS.labels(str(self._state).lower()).dec()
        if state is not State.ENDED:
            STREAMS.labels(state.lower()).inc()
        self._state = state
