"""From results to events: what the agent `read` does with each record of `fused`.

Nothing that comes can raise here: in an agent of Faust an exception loses the event, or ends the app.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from framefuse import metrics
from processors.statistics.counting import sample_of
from schemas.codec import SchemaBook, UnknownSchema, encode
from schemas.records import Status
from schemas.statistics import Sample, StatisticsEvent
from schemas.summaries import decode_summary

log = logging.getLogger("framefuse.statistics")
STAGE_NAME = "statistics"
WAITING_RECORDS = 64
_TELL_EVERY_S = 30.0

FaustMessage = Any
FaustTopic = Any
"""Faust has no types to speak of."""


@dataclass(slots=True)
class Waiting:
    """Results that are read, and not yet on their way to the table."""

    messages: list[FaustMessage] = field(default_factory=list)
    samples: dict[str, list[Sample]] = field(default_factory=dict)


class Intake:
    """Collects results, and sends them on a few times a second, as one event a stream.

    A result is acknowledged when the broker has its event: a worker that is killed before reads it again.
    """

    def __init__(
        self,
        events: FaustTopic,
        acknowledge: Callable[[FaustMessage], object],
        book: SchemaBook,
        refresh: Callable[[], None],
    ) -> None:
        """Begin.

        Args:
            events: where events go.
            acknowledge: a message need not be read again.
            book: schemas by fingerprint.
            refresh: reads the topic of schemas again; takes a while.
        """
        self._events, self._acknowledge = events, acknowledge
        self._book, self._refresh = book, refresh
        self._waiting = Waiting()
        self._turn = asyncio.Lock()
        self._refused = Refused()

    async def take(self, message: FaustMessage) -> None:
        """One record of `fused`."""
        found = await self._sampled(message)
        message.value = None  # may be megabytes; only its offset is needed from here on
        self._waiting.messages.append(message)
        if found is not None:
            self._waiting.samples.setdefault(found[0], []).append(found[1])
            metrics.RECORDS.labels(STAGE_NAME, Status.OK).inc()
            ended = found[1].ended
            metrics.OUTCOME_LATENCY.observe((ended.fused_at - ended.frame.appended_at).total_seconds())
        if len(self._waiting.messages) >= WAITING_RECORDS:
            await self.send()

    async def send(self) -> None:
        """Send on what has come, and acknowledge it."""
        async with self._turn:
            waiting, self._waiting = self._waiting, Waiting()
            sent = []
            for stream_id, samples in waiting.samples.items():
                event = StatisticsEvent(stream_id=stream_id, samples=tuple(samples))
                sent.append(await self._events.send(key=stream_id.encode(), value=encode(event)))
            await asyncio.gather(*sent)
            for message in waiting.messages:
                self._acknowledge(message)

    async def _sampled(self, message: FaustMessage) -> tuple[str, Sample] | None:
        try:
            return self._sample(message)
        except UnknownSchema:
            await asyncio.to_thread(self._refresh)
        except Exception as error:
            self._refused.tell(message, error)
            return None
        try:
            return self._sample(message)
        except Exception as error:
            self._refused.tell(message, error)
            return None

    def _sample(self, message: FaustMessage) -> tuple[str, Sample]:
        fused = decode_summary(message.value, self._book)
        return fused.stream_id, sample_of(fused)


class Refused:
    """Counts what cannot be used, and says so once in a while."""

    def __init__(self) -> None:
        self._told_s = -_TELL_EVERY_S

    def tell(self, message: FaustMessage, error: Exception) -> None:
        """This message, for this reason."""
        metrics.RECORDS.labels(STAGE_NAME, Status.FAILED).inc()
        now_s = time.monotonic()
        if now_s - self._told_s >= _TELL_EVERY_S:
            self._told_s = now_s
            place = f"{message.topic} [{message.partition}] at {message.offset}"
            log.warning("left out: %s: %s", place, error)
