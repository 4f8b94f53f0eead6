"""Faust's consumer, but for what it commits, and for two races in which a rebalance makes it lose records.

It commits where reading must go on (`progress.py`), not the end of a run of offsets without a gap.

Faust seeks to what is committed when a rebalance is over, but goes on with what it had fetched before. A
record beyond the place it went back to looks like a gap then, which it takes for done; and one that was being
handed over moves its mark forward again, so that what is read once more is dropped. Both showed in the
counts, in two of seven runs with a killed worker. Here what was fetched before a seek is dropped, and the
seek is made once more.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from typing import Any

from aiokafka import TopicPartition
from faust.transport.drivers.aiokafka import Consumer
from faust.types import TP

from processors.statistics.progress import Progress


class SteadyConsumer(Consumer):
    """Gives each record after the committed position, whatever is shared out anew meanwhile."""

    _seeks = 0
    _progress: defaultdict[TP, Progress]

    def __init__(self, *parts: Any, **named: Any) -> None:
        super().__init__(*parts, **named)
        self._progress = defaultdict(Progress)

    async def perform_seek(self) -> None:
        """Go back to what is committed; to the beginning of a partition of which nothing is."""
        self._seeks += 1
        await super().perform_seek()
        fresh = [
            TopicPartition(part.topic, part.partition)
            for part in self.assignment()
            if not self._committed_offset[part] and not self._is_changelog_tp(part)
        ]
        if fresh:
            # The client leaves these where they are, beyond what was fetched and dropped.
            await self._thread.seek_to_beginning(*fresh)
            self._read_offset.update({TP(*part): None for part in fresh})
        self._seeks += 1  # also what was fetched since is of before the seek
        self._progress.clear()

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[Any, Any]]:
        """Records as they are fetched; the rest is dropped where a seek came between."""
        seeks = self._seeks
        async for part, message in super().getmany(timeout):
            if seeks != self._seeks:
                break
            yield part, message
        if seeks != self._seeks and self.assignment():
            await self.perform_seek()

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:  # noqa: ANN401
        seeks = self._seeks
        records = await super()._getmany(active_partitions, timeout)
        if seeks == self._seeks:
            # Nobody else fetches: the client's positions are still those after these records.
            for part, state in self._states():
                position = state._position  # read once: the client's thread may forget it meanwhile
                if position is not None:
                    self._progress[part].fetched((one.offset for one in records.get(part, ())), position)
        return records

    def _states(self) -> Iterator[tuple[TP, Any]]:
        """What the client knows of each of our partitions, but for those of the changelog."""
        client = self._thread._consumer
        subscription = client._subscription.subscription if client is not None else None
        assignment = subscription.assignment if subscription is not None else None
        if assignment is None:
            return
        for part in assignment.tps:
            if self.app.topics.acks_enabled_for(part.topic):
                yield TP(part.topic, part.partition), assignment.state_value(part)

    async def verify_all_partitions_active(self) -> None:
        """Not Faust's way: where nothing came for 5 min since the start, the first record is an error to it.

        It asks whether the end is ahead of the position at this moment, not for how long. A group that does
        not get on shows in what it has not committed, which `watch` and Prometheus tell.
        """

    def ack(self, message: Any) -> bool:  # noqa: ANN401
        """This message need not be read again."""
        self._progress[message.tp].done(message.offset)
        return super().ack(message)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Commit what is done; what comes after is another generation's."""
        await super().on_partitions_revoked(revoked)
        self._progress.clear()

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:  # noqa: ANN401
        """Also those that have but moved on, beyond the marker of a transaction."""
        return (part for part in list(self._progress) if not topics or part in topics or part.topic in topics)

    def _new_offset(self, tp: TP) -> int | None:
        # Faust's own marks only say which message was acknowledged already.
        self._acked[tp].clear()
        self._acked_index[tp].clear()
        return self._progress[tp].position

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Gaps are no matter here."""

    @property
    def known_to_group(self) -> bool:
        """Whether the group's coordinator answered last, and not that it does not know us."""
        client = self._thread._consumer
        return client is not None and client._coordinator.coordinator_id is not None

    @property
    def partitions(self) -> int:
        """How many are read here, but for those of the changelog."""
        return sum(1 for _ in self._states())

    @property
    def behind(self) -> int:
        """Offsets that are not committed, up to the ends that fetching has shown."""
        ends = {part: state.highwater or 0 for part, state in self._states()}
        return sum(max(0, end - (self._committed_offset[part] or 0)) for part, end in ends.items())
