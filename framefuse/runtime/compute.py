"""Runs a processor over records: prepares in threads, processes in batches, gives one answer a record.

Knows no Kafka; `framefuse infer` and the worker share it.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from framefuse import metrics
from framefuse.errors import Poison, ProcessorFailed, Stop
from framefuse.runtime.dead_letter_limit import DeadLetterLimit, broken
from framefuse.runtime.dead_letters import letter_for
from framefuse.runtime.freshness import age_share
from framefuse.runtime.intake import Refusal, Taken, refuse_if_expired
from framefuse.runtime.ladder import Ladder
from framefuse.settings import StageSettings
from framefuse.types import Output, Prepared, Processor, Record
from schemas.records import Frame, Status

log = logging.getLogger("framefuse.compute")


@dataclass(frozen=True, slots=True)
class Started:
    """A record whose preparation is under way in a thread (or that is refused already)."""

    taken: Taken[Any]
    preparation: "Future[tuple[Any, float]] | None"


class Computation:
    """One processor of one stage, used by one thread at a time."""

    def __init__(
        self,
        stage: str,
        processor: Processor[Any, Any, Any],
        threads: Executor,
        settings: StageSettings,
    ) -> None:
        """Compute for `stage`; `settings` say how many failures are too many."""
        self._stage, self._processor, self._threads = stage, processor, threads
        self._limit = DeadLetterLimit(
            consecutive=settings.dead_letter_limit, share=settings.dead_letter_share
        )
        self._setting_prefix = settings.model_config.get("env_prefix", "")
        self._ladder = Ladder()

    @property
    def rung(self) -> int:
        """It computes one live frame in `2**rung`."""
        return self._ladder.rung

    def start(self, taken: Taken[Any]) -> Started:
        """Begin to prepare a record beside everything else."""
        taken = self._shed(taken)
        if taken.refusal is not None or taken.record is None:
            return Started(taken, None)
        return Started(taken, self._threads.submit(self._prepare, taken.record))

    def finish(self, batch: Sequence[Started]) -> list[Output[Any]]:
        """One output per record, in order, whatever happens to any of them.

        Raises:
            Stop: the processor cannot go on at all, or failed on too many records.
        """
        now = datetime.now(UTC)
        refusals: dict[int, Refusal] = {}
        ready: list[tuple[int, Prepared[Any, Any]]] = []
        begun_s = time.monotonic()
        for index, started in enumerate(batch):
            judged = self._await(started, now)
            if isinstance(judged, Refusal):
                refusals[index] = judged
            else:
                ready.append((index, judged))
        waited_s = time.monotonic() - begun_s
        values: dict[int, Any] = {}
        for (index, _), answer in zip(ready, self._process([prepared for _, prepared in ready]), strict=True):
            if isinstance(answer, Poison):
                refusals[index] = Refusal(Status.FAILED, str(answer), answer)
            else:
                values[index] = answer
        self._check_limit(refusals, len(batch))
        self._observe(len(batch), waited_s, time.monotonic() - begun_s - waited_s)
        return [
            self._refused(started.taken, refusals[index])
            if index in refusals
            else _output(started.taken, values[index])
            for index, started in enumerate(batch)
        ]

    def _prepare(self, record: Record[Any]) -> tuple[Any, float]:
        begun_s = time.monotonic()
        return self._processor.prepare(record), (time.monotonic() - begun_s) * 1000

    def _await(self, started: Started, now: datetime) -> Prepared[Any, Any] | Refusal:
        taken = self._worth_it(started.taken, now)
        if taken.refusal is not None or started.preparation is None or taken.record is None:
            if started.preparation is not None:
                started.preparation.cancel()
            return taken.refusal or Refusal(Status.FAILED, "no value")
        try:
            prepared, preprocess_ms = started.preparation.result()
        except Poison as error:
            return Refusal(Status.FAILED, str(error), error)
        except Stop:
            raise
        except Exception as error:
            log.exception("%s: prepare failed at offset %d", self._stage, taken.message.offset)
            poison = ProcessorFailed(f"prepare: {type(error).__name__}: {error}")
            return Refusal(Status.FAILED, str(poison), poison)
        queue_ms = (time.monotonic() - taken.record.received_s) * 1000 - preprocess_ms
        return Prepared(taken.record, prepared, max(0.0, queue_ms), preprocess_ms)

    def _worth_it(self, taken: Taken[Any], now: datetime) -> Taken[Any]:
        """The same record, refused if it has become too old or must make room for others."""
        taken = self._shed(taken)
        record = taken.record
        if record is not None and taken.refusal is None and isinstance(record.value, Frame):
            share = age_share(record.value, record.timestamp, now)
            if share is not None and share <= 1:  # what has expired costs nothing and says nothing
                self._ladder.note(share, time.monotonic())
        return refuse_if_expired(taken, now)

    def _shed(self, taken: Taken[Any]) -> Taken[Any]:
        record = taken.record
        if record is None or taken.refusal is not None or not isinstance(record.value, Frame):
            return taken
        reason = self._ladder.refuses(record)
        return taken if reason is None else replace(taken, refusal=Refusal(Status.EXPIRED, reason))

    def _process(self, batch: list[Prepared[Any, Any]]) -> Sequence[Any]:
        """The processor's answers; a batch that fails as a whole is tried record by record."""
        if not batch:
            return []
        try:
            return self._processor.process(batch)
        except Stop:
            raise
        except Exception as error:
            if len(batch) > 1:
                return [answer for prepared in batch for answer in self._process([prepared])]
            log.exception("%s: process failed at offset %d", self._stage, batch[0].record.offset)
            return [
                error if isinstance(error, Poison) else ProcessorFailed(f"{type(error).__name__}: {error}")
            ]

    def _check_limit(self, refusals: Mapping[int, Refusal], count: int) -> None:
        for index in range(count):
            refusal = refusals.get(index)
            if refusal is not None and not isinstance(refusal.error, ProcessorFailed):
                continue
            too_many = self._limit.note(failed=refusal is not None)
            if refusal is not None and too_many is not None:
                raise broken(self._stage, too_many, refusal.reason, self._setting_prefix)

    def _refused(self, taken: Taken[Any], refusal: Refusal) -> Output[Any]:
        value = self._processor.refused(taken.origin, refusal.status, refusal.reason)
        letter = None
        if refusal.error is not None:
            letter = letter_for(taken.message, stage=self._stage, error=refusal.error, attempt=taken.attempt)
        return replace(_output(taken, value), letter=letter, status=refusal.status)

    def _observe(self, records: int, waited_s: float, processed_s: float) -> None:
        metrics.BATCH_RECORDS.labels(self._stage).observe(records)
        metrics.SECONDS.labels(self._stage, "wait").observe(waited_s)
        metrics.SECONDS.labels(self._stage, "process").observe(processed_s)


def _output(taken: Taken[Any], value: object) -> Output[Any]:
    message = taken.message
    return Output(value, message.partition, message.offset, message.timestamp, message.key)
