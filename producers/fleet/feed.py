"""One declared stream: published run after run, until it is closed. Never waits; asked to go on by `tick`.

A camera that ends or fails is opened again, after 1 s, then 2 s, 4 s … at most 30 s; each time is a run of
its own. A file that is not live is published once; it is opened again only while nothing of it could be.
"""

import logging
import traceback
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from framefuse import metrics
from framefuse.errors import BadInput, FramefuseError
from framefuse.publishing.decisions import Sums, new_run_id
from framefuse.publishing.outlet import Outlet
from framefuse.publishing.publication import Publication, PublishOptions
from framefuse.publishing.sources import Source, SourceOptions, open_sources
from framefuse.settings import KafkaSettings
from framefuse.streams.credentials import masked, redacted, resolve
from schemas.records import State, Stream, StreamState

log = logging.getLogger("framefuse.camera")
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0
_GOOD_RUN_S = 30.0
"""A run of this length was no failure: the next pause is the first again."""
STANDINGS = OPEN, WAITING, ENDED = "open", "waiting", "ended"


class Backoff:
    """How long to wait before the next run. Pure."""

    def __init__(self) -> None:
        self._failures = 0

    def pause_s(self, ran_s: float) -> float:
        """After a run of this length."""
        self._failures = 0 if ran_s >= _GOOD_RUN_S else self._failures
        pause_s = min(_FIRST_PAUSE_S * (1 << self._failures), _LONGEST_PAUSE_S)
        self._failures = min(self._failures + 1, 10)
        return pause_s


class Feed:
    """For use by one thread."""

    def __init__(
        self,
        stream: Stream,
        kafka: KafkaSettings,
        outlet: Callable[[], Outlet],
        *,
        options: SourceOptions,
        secrets_dir: Path,
        finished: bool = False,
    ) -> None:
        """Nothing is opened before the first `tick`.

        Args:
            stream: what to publish.
            kafka: where the broker is.
            outlet: the connection for streams of this kind.
            options: how pictures are encoded.
            secrets_dir: where files that credentials refer to may be.
            finished: a file that has been published as it is declared.
        """
        self.stream = stream
        self._kafka, self._outlet = kafka, outlet
        self._options, self._secrets_dir = options, secrets_dir
        self._publication: Publication | None = None
        self._backoff, self._next_s = Backoff(), float("-inf")
        self._began_s, self._runs, self._grave = 0.0, 0, ""
        self._finished, self._closed = finished, False
        self._retried: StreamState | None = None
        """What others were told while it waits to be opened again."""

    @property
    def standing(self) -> str:
        """Whether it is open, waits to be opened again, or is a file that has been published."""
        if self._publication is None:
            return ENDED if self._finished else WAITING
        return OPEN

    @property
    def done(self) -> bool:
        """Whether nothing of it is open, once it was closed."""
        return self._publication is None or self._publication.wait(0.0)

    def tick(self, now_s: float) -> None:
        """Open what is due, and see what has ended."""
        if self._publication is not None:
            self._look(self._publication, now_s)
        elif not (self._closed or self._finished) and now_s >= self._next_s:
            self._open(now_s)

    def close(self, why: str) -> None:
        """End the run, if there is one, and begin no other; `done` tells when it has ended."""
        self._closed = True
        if self._publication is not None:
            self._publication.interrupt(why)
        elif self._retried is not None:
            told = replace(self._retried, state=State.ENDED, ended=why, updated_at=datetime.now(UTC))
            self._outlet().tell(told)

    def fit_to_show(self, text: str) -> str:
        """A message without what the credentials of the stream stand for."""
        return redacted(text, self.stream.source, below=self._secrets_dir)

    def _open(self, now_s: float) -> None:
        stream, outlet = self.stream, self._outlet()
        try:
            publication = Publication(
                self._kafka,
                [(stream.stream_id, self._source())],
                PublishOptions(
                    live=stream.live, freshness_ms=stream.freshness_ms, partition=stream.partition
                ),
                outlet=outlet,
            )
        except FramefuseError as error:
            self._wait(self.fit_to_show(str(error)), now_s, ran_s=0.0, run_id=new_run_id(), sums=Sums())
            return
        self._publication, self._began_s, self._grave = publication, now_s, ""
        self._retried = None
        if self._runs:
            metrics.CAMERA_RESTARTS.inc()
        self._runs += 1
        (progress,) = publication.progress()
        log.info("stream %s: run %s of %s", stream.stream_id, progress.run_id, masked(stream.source))

    def _source(self) -> Source:
        # The source resolves it for itself, at each connection: a password may change. This is to know first.
        resolve(self.stream.source, below=self._secrets_dir)
        sources = open_sources([self.stream.source], self._options)
        if len(sources) != 1:
            raise BadInput(
                f"{masked(self.stream.source)} holds {len(sources)} streams: declare each by itself"
            )
        return sources[0]

    def _look(self, publication: Publication, now_s: float) -> None:
        problem = None
        self._say(publication)
        try:
            if not publication.wait(0.0):
                return
        except Exception as error:
            problem = self._unforeseen(error)
        self._say(publication)  # what came while it ended
        self._publication = None
        if self._closed:
            return
        (progress,) = publication.progress()
        if not self.stream.live and _is_published(progress.sums, failed=problem is not None):
            self._finished = True
            log.info("stream %s: published, %d frames", self.stream.stream_id, progress.sums.published)
            return
        reason = problem or self._grave or "its source has ended"
        ran_s = now_s - self._began_s
        self._wait(reason, now_s, ran_s=ran_s, run_id=progress.run_id, sums=progress.sums)

    def _say(self, publication: Publication) -> None:
        for notice in publication.notices():
            text = self.fit_to_show(notice.text)
            log.info("stream %s: %s", self.stream.stream_id, text)
            if notice.grave:
                self._grave = text

    def _wait(self, reason: str, now_s: float, *, ran_s: float, run_id: str, sums: Sums) -> None:
        """Open it again after a pause, and tell that; its publisher has told that this run ended."""
        pause_s = self._backoff.pause_s(ran_s)
        self._next_s = now_s + pause_s
        log.warning("stream %s: %s; again in %.0f s", self.stream.stream_id, reason, pause_s)
        self._retried = _retried(self.stream, f"{reason}; again in {pause_s:.0f} s", run_id, sums)
        self._outlet().tell(self._retried)

    def _unforeseen(self, error: Exception) -> str:
        # Not its words and not those of what led to it: they may hold the address that was opened.
        frames = "".join(traceback.format_list(traceback.extract_tb(error.__traceback__)))
        log.error("stream %s: %s at\n%s", self.stream.stream_id, type(error).__name__, frames)
        return f"{type(error).__name__}: {self.fit_to_show(str(error))}"


def _is_published(sums: Sums, *, failed: bool) -> bool:
    """Whether a file is in the topic as far as it can be."""
    return sums.published > 0 or (not failed and not sums.rejected)


def _retried(stream: Stream, reason: str, run_id: str, sums: Sums) -> StreamState:
    return StreamState(
        stream_id=stream.stream_id,
        run_id=run_id,
        state=State.RECONNECTING,
        published=sums.published,
        dropped=sums.dropped,
        rejected=sums.rejected,
        last_sequence=sums.last_sequence,
        ended=reason,
        updated_at=datetime.now(UTC),
    )
