"""The stage that keeps every result in Parquet files, on S3, GCS, Azure or a local folder.

Each file is put if absent and then its position is committed. Who finds a file that holds its next frame goes
on where that file ends: files are never changed, and a frame is never in two.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import ClassVar

from pydantic import Field

from framefuse.errors import SinkBusy, Stop
from framefuse.settings import StageSettings
from framefuse.types import BatchPolicy, Output, Partition, Positions, Prepared, Record, SinkContext, Stage
from schemas.records import Derived, Fused, Status
from schemas.topics import FRAMES, FUSED
from sinks.parquet import FOOTER_BYTES, NotAResultFile, encode, read_footer
from sinks.result_files import Footer, Result, Series, beyond, check_topic_id, folder, leading_run, neighbours
from sinks.result_store import SETTING, AlreadyThere, ResultStore, open_results


class ObjectStoreSettings(StageSettings):
    """Where results are kept and how large their files grow."""

    section: ClassVar[str | None] = "object-store"
    url: str = Field(
        "./results", description="A folder, s3://, gs:// or az://; credentials from AWS_…, GOOGLE_…, AZURE_…."
    )
    max_rows: int = Field(2000, ge=1, description="Frames in a file, at most.")
    max_wait_s: float = Field(10.0, ge=0, description="How long a frame waits for its file to fill.")
    max_bytes: int = Field(64 << 20, ge=1, description="Bytes in a file, at most (one frame may exceed it).")


class AsItIs:
    """The processor of a stage that computes nothing."""

    def prepare(self, record: Record[Fused]) -> Fused:
        """The record's value."""
        return record.value

    def process(self, batch: Sequence[Prepared[Fused, Fused]]) -> Sequence[Fused]:
        """The values, in order."""
        return [prepared.input for prepared in batch]

    def refused(self, origin: Derived, status: Status, reason: str) -> None:
        """Nothing: a file has a place only for results."""

    def close(self) -> None:
        """Holds nothing."""


class ObjectStoreSink:
    """Writes batches of one partition as files and commits each file's end."""

    def __init__(self, store: ResultStore, context: SinkContext) -> None:
        """Write to `store`.

        Raises:
            Stop: a topic id that cannot be part of a file name.
        """
        self._store = store
        self._fused = FUSED.name(context.prefix)
        self._frames_id = context.topic_ids[FRAMES.name(context.prefix)]
        self._fused_id = context.topic_ids[self._fused]
        check_topic_id(self._frames_id)
        check_topic_id(self._fused_id)
        self._latest: dict[int, tuple[str, Footer]] = {}
        """The last file we put, by partition: no need to list what sorts before it."""

    def write(self, batch: Sequence[Output[Fused]], positions: Positions) -> Mapping[Partition, int] | None:
        """Make a batch of one partition durable: put each file, then commit where it ends.

        Returns:
            None, or where to go on reading when a file that was there already reaches beyond the batch.

        Raises:
            SinkBusy: the store does not answer or is full; the same batch again later is right.
            Retry: a commit did not go through.
            Stop: the store cannot be used, or holds files of another `fused` topic.
        """
        if not batch:
            positions.commit()
            return None
        source = Partition(self._fused, batch[0].partition)
        results: Sequence[Result] = [Result(output.value, output.offset) for output in batch if output.value]
        resume_at = positions.offsets[source]
        while results:
            kept = self._keep(source.number, results)
            resume_at = max(resume_at, kept.fused_next_offset)
            if results := beyond(results, kept):
                positions.commit({source: results[0].fused_offset})
        if resume_at == positions.offsets[source]:
            positions.commit()
            return None
        positions.commit({source: resume_at})
        return {source: resume_at}

    def close(self) -> None:
        """Holds nothing open."""

    def _keep(self, partition: int, results: Sequence[Result]) -> Footer:
        """Have the first results in a file: one that holds the first frame already, or a new one."""
        series = Series(self._frames_id, partition)
        there, before = self._around(series, results[0])
        if there is not None:
            return there
        run = leading_run(results, before)
        first, last, next_offset = run[0].frame_offset, run[-1].frame_offset, run[-1].fused_offset + 1
        kept = Footer(self._frames_id, self._fused_id, partition, first, last, next_offset)
        key = series.key(run[0].day, first)
        try:
            self._store.create(key, encode([result.fused for result in run], kept))
        except AlreadyThere:
            return self._footer(series, key)
        self._latest[partition] = key, kept
        return kept

    def _around(self, series: Series, result: Result) -> tuple[Footer | None, int | None]:
        """The file that holds a frame, if any, and where the next file of its day starts, if there is one."""
        day, frame_offset = folder(result.day), result.frame_offset
        latest, kept = self._latest.get(series.partition, ("", None))
        passed = kept is not None and latest.startswith(day) and kept.last_frame_offset < frame_offset
        names = self._store.names(day, series.stem, after=latest if passed else "")
        starts = [start for name in names if (start := series.first_frame_offset(name)) is not None]
        below, above = neighbours(starts, frame_offset)
        if below is not None:
            footer = self._footer(series, series.key(result.day, below))
            if footer.holds(frame_offset):
                return footer, above
        return None, above

    def _footer(self, series: Series, key: str) -> Footer:
        try:
            footer = read_footer(self._store.end(key, FOOTER_BYTES))
        except NotAResultFile as error:
            raise Stop(f"{key} is not a result file of ours ({error}): move it out of the results") from error
        if (footer.frames_topic_id, footer.partition) != (series.frames_topic_id, series.partition):
            raise Stop(f"{key} was renamed, it holds {footer}: give it its name back or move it away")
        if footer.fused_topic_id != self._fused_id:
            raise Stop(
                f"{key} was written from a topic {self._fused} of id {footer.fused_topic_id}, now it is "
                f"{self._fused_id}, made anew: move the old results away or set another {SETTING}"
            )
        return footer


def open_store(settings: ObjectStoreSettings, context: SinkContext) -> ObjectStoreSink:
    """The sink `object-store`; looks at the store once, so that what is wrong with it shows at start.

    Raises:
        BadInput: the URL is of no kind we know.
        Stop: the store is there and cannot be used, such as a bucket that does not exist.
    """
    store = open_results(settings.url)
    with suppress(SinkBusy):  # `write` waits for it and says so
        next(store.names("start", ""), None)
    return ObjectStoreSink(store, context)


STAGE = Stage(
    "object-store",
    settings=ObjectStoreSettings,
    sources=(FUSED,),
    to="object-store",
    build=lambda settings: AsItIs(),
    batch=lambda settings: BatchPolicy(
        max_records=settings.max_rows,
        max_wait_s=settings.max_wait_s,
        max_bytes=settings.max_bytes,
        per_partition=True,
    ),
)
