"""`FramePublisher` and `ResultSubscriber` for asyncio: the same calls, each made in a thread of its own.

    async with AsyncResultSubscriber(streams="gate") as results:
        async for fused in results:
            print(fused.sequence, await results.picture(fused) is not None)

Thin: decides nothing, and connects only when entered.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Literal, ParamSpec, Self, TypedDict, TypeVar, Unpack

from framefuse.errors import BadInput
from framefuse.publishing.outlet import Outlet
from framefuse.publishing.publisher import FramePublisher
from framefuse.publishing.tickets import Ticket
from framefuse.results.subscribing import ResultSubscriber, Start
from framefuse.settings import KafkaSettings
from framefuse.types import Image
from schemas.records import Fused, State

P = ParamSpec("P")
T = TypeVar("T")
_SLICE_S = 0.5


class PublisherOptions(TypedDict, total=False):
    """The options of `FramePublisher`."""

    settings: KafkaSettings | None
    live: bool
    freshness_ms: int | None
    partition: int | Literal["auto"] | None
    partition_by: Literal["stream", "frame"]
    in_flight: int
    quality: int
    max_side_px: int | None
    outlet: Outlet | None
    state: State


class SubscriberOptions(TypedDict, total=False):
    """The options of `ResultSubscriber`."""

    streams: str | Collection[str] | None
    start: Start | datetime | None
    group: str | None
    in_order: bool
    patience_s: float
    settings: KafkaSettings | None


class _Thread:
    """One thread for one object, so that its calls never overlap and keep their order."""

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=name)

    def begin(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self._pool, partial(call, *args, **kwargs))

    def stop(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


def _entered(behind: T | None) -> T:
    if behind is None:
        raise BadInput("not connected: use it in 'async with', which connects")
    return behind


class AsyncFramePublisher:
    """A `FramePublisher` for asyncio; an asynchronous context manager.

    `publish` waits while the workers are behind, as the other does: that is its back-pressure. A cancelled
    `publish` may still publish its frame.
    """

    def __init__(self, stream: str, **options: Unpack[PublisherOptions]) -> None:
        """Take the arguments of `FramePublisher`; connects in `async with`."""
        self._open = partial(FramePublisher, stream, **options)
        self._thread = _Thread("framefuse-publish")
        self._publisher: FramePublisher | None = None

    @property
    def publisher(self) -> FramePublisher:
        """The one that works behind, for what needs no waiting, such as its `sums`.

        Raises:
            BadInput: not entered yet.
        """
        return _entered(self._publisher)

    async def publish(
        self,
        image: Image | bytes | Path | str,
        *,
        captured_at: datetime | None = None,
        idempotency_key: str | None = None,
    ) -> Ticket:
        """As `FramePublisher.publish`; `await` the ticket for the frame's place in the log."""
        return await self._thread.begin(
            self.publisher.publish, image, captured_at=captured_at, idempotency_key=idempotency_key
        )

    async def flush(self, timeout_s: float | None = None) -> None:
        """As `FramePublisher.flush`."""
        await self._thread.begin(self.publisher.flush, timeout_s)

    async def __aenter__(self) -> Self:
        self._publisher = await self._thread.begin(self._open)
        return self

    async def __aexit__(self, *exc: object) -> None:
        # Beside a `publish` that was cancelled and still waits for the workers; closing ends its wait.
        self._thread.stop()
        await asyncio.shield(asyncio.to_thread(self.publisher.close))


class AsyncResultSubscriber:
    """A `ResultSubscriber` for asyncio; an asynchronous context manager. For one task at a time.

    A `get` that is cancelled or timed out loses nothing: what it would have given comes with the next.
    """

    def __init__(self, **options: Unpack[SubscriberOptions]) -> None:
        """Take the arguments of `ResultSubscriber`; connects in `async with`."""
        self._open = partial(ResultSubscriber, **options)
        self._thread = _Thread("framefuse-subscribe")
        self._subscriber: ResultSubscriber | None = None
        self._asked: asyncio.Future[Fused | None] | None = None

    @property
    def subscriber(self) -> ResultSubscriber:
        """The one that works behind, for what needs no waiting, such as `late`.

        Raises:
            BadInput: not entered yet.
        """
        return _entered(self._subscriber)

    async def get(self, timeout_s: float | None = None) -> Fused | None:
        """As `ResultSubscriber.get`."""
        loop = asyncio.get_running_loop()
        give_up_s = None if timeout_s is None else loop.time() + timeout_s
        while True:
            if self._asked is None:
                self._asked = self._thread.begin(self.subscriber.get, _SLICE_S)
            wait_s = None if give_up_s is None else max(0.0, give_up_s - loop.time())
            await asyncio.wait({self._asked}, timeout=wait_s)
            if not self._asked.done():
                return None
            asked, self._asked = self._asked, None
            if (fused := asked.result()) is not None:
                return fused

    async def picture(self, fused: Fused) -> Image | None:
        """As `ResultSubscriber.picture`."""
        return await self._thread.begin(self.subscriber.picture, fused)

    async def __aiter__(self) -> AsyncIterator[Fused]:
        while (fused := await self.get()) is not None:
            yield fused

    async def __aenter__(self) -> Self:
        self._subscriber = await self._thread.begin(self._open)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        leaving = self._thread.begin(self.subscriber.__exit__, kind, error, trace)
        await asyncio.shield(leaving)
        self._thread.stop()
