"""The way into `frames` for streams that may be somebody else's a moment later."""

from collections.abc import Callable
from dataclasses import replace

from framefuse.kafka import Delivery
from framefuse.publishing.outlet import Outlet, PublisherClosed
from framefuse.settings import KafkaSettings
from schemas.records import Frame, StreamState

Ours = Callable[[str], bool]
Told = Callable[[str, str], str]


class LeasedOutlet(Outlet):
    """Sends the frames and states of a stream only while the stream is ours."""

    def __init__(self, settings: KafkaSettings, *, live: bool, ours: Ours, told: Told) -> None:
        """Connect.

        Args:
            settings: where the broker is.
            live: of all streams that go through it.
            ours: whether a stream, by its id, may be published by us at this moment.
            told: makes a reason fit for everybody's eyes, given a stream id and the reason.

        Raises:
            BrokerUnavailable: no broker answers.
            Stop: there are no topics.
        """
        self._ours, self._told = ours, told
        super().__init__(settings, live=live)

    def send(self, frame: Frame, partition: int, on_delivery: Callable[[Delivery], None]) -> None:
        """As `Outlet.send`.

        Raises:
            PublisherClosed: the stream is not ours, or no longer.
        """
        if not self._ours(frame.stream_id):
            raise PublisherClosed(f"stream {frame.stream_id} may be another publisher's by now")
        super().send(frame, partition, on_delivery)

    def tell(self, state: StreamState) -> None:
        """As `Outlet.tell`; of a stream that is another's by now, nothing: it speaks for itself."""
        if self._ours(state.stream_id):
            reason = None if state.ended is None else self._told(state.stream_id, state.ended)
            super().tell(replace(state, ended=reason))
