"""What a publisher gives for each frame: a ticket that tells where the frame is, once the broker has it."""

import asyncio
from collections.abc import Generator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from framefuse.errors import FramefuseError
from schemas.records import FrameRef


class NotPublished(FramefuseError):
    """A frame that the broker never acknowledged, or that gave way to newer live ones."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """One frame on its way."""

    frame_id: str
    stream_id: str
    run_id: str
    sequence: int
    _place: Future[FrameRef] = field(default_factory=Future, init=False, repr=False, compare=False)

    def wait(self, timeout_s: float | None = None) -> FrameRef:
        """Where the frame is in the log, once the broker has it.

        Raises:
            NotPublished: the broker never acknowledged it, or it was dropped.
            TimeoutError: nothing is known yet after `timeout_s`.
        """
        return self._place.result(timeout_s)

    def placed(self, at: FrameRef) -> None:
        """Tell who waits that the broker has the frame; of the publisher, once, and `failed` never then."""
        self._place.set_result(at)

    def failed(self, why: str) -> None:
        """Tell who waits that the broker will never have it; of the publisher, once."""
        self._place.set_exception(NotPublished(why))

    def __await__(self) -> Generator[Any, None, FrameRef]:
        """`await ticket` is `ticket.wait()` in asyncio; a cancelled one leaves the frame on its way."""
        return asyncio.shield(asyncio.wrap_future(self._place)).__await__()
