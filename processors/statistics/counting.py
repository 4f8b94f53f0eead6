"""The row of a stream: what a result adds to it, and what can be said of it at a moment. Pure.

Time is that of the results (`fused_at`), in slots of five seconds: whoever reads late counts the same. A row
stays small whatever happens: twelve slots, 64 labels a slot, some two hundred buckets at most.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from processors.statistics.latency import added, bucket_of, quantile
from schemas.records import Side
from schemas.statistics import (
    Counted,
    EndedFrame,
    LabelCount,
    Nearest,
    Sample,
    Slot,
    Statistics,
    StatisticsEvent,
    StatisticsRow,
)
from schemas.summaries import FusedSummary

SLOT_S, SLOTS, RATE_SLOTS = 5, 12, 2
SETTLE = timedelta(seconds=1)
"""Results need this long until they are counted: the rate is not told of a slot that ended just now."""
LABELS = 64
OTHERS = "(others)"


def sample_of(fused: FusedSummary) -> Sample:
    """What the counting needs of a result."""
    labels: dict[str, int] = {}
    nearest: Nearest | None = None
    for one in fused.objects:
        _add(labels, one.label, 1)
        if one.depth is not None:
            nearest = nearer(nearest, Nearest(one.label, one.depth.median, fused.unit))
    return Sample(
        ended=EndedFrame(
            frame_id=fused.frame_id,
            run_id=fused.run_id,
            sequence=fused.sequence,
            attempt=fused.attempt,
            captured_at=fused.captured_at,
            frame=fused.frame,
            outcome=fused.outcome,
            fused_at=fused.fused_at,
        ),
        detected=all(missing.side is not Side.DETECTION for missing in fused.missing),
        labels=labels,
        nearest=nearest,
    )


def counted(row: StatisticsRow | None, event: StatisticsEvent, now: datetime) -> StatisticsRow | None:
    """The row of a stream after an event; what it counted before counts no second time.

    Args:
        row: as it was; None for a stream that nothing was known of.
        event: results of this stream, those of a partition of frames in order.
        now: a result that says it is of later counts as of now.

    Returns:
        The new row; the same where all was counted before, None if there was none and the event is empty.
    """
    ends = {one.partition: one for one in row.counted} if row else {}
    after = row
    for sample in event.samples:
        frame = sample.ended.frame
        end = ends.get(frame.partition)
        # A topic that was made anew begins at offset 0 again, but later.
        if end is None or frame.offset > end.offset or frame.appended_at > end.appended_at:
            ends[frame.partition] = Counted(frame.partition, frame.offset, frame.appended_at)
            after = _with(after or _empty(event.stream_id, sample, now), sample, now)
    return row if after is row or after is None else replace(after, counted=tuple(ends.values()))


def report(row: StatisticsRow, now: datetime, *, quiet_after: timedelta) -> Statistics:
    """What can be said of a stream at `now`; it is quiet when its last result is older than `quiet_after`."""
    slots = [slot for slot in row.slots if slot.number > _number(now) - SLOTS]
    latencies = added(slot.latencies for slot in slots)
    quiet = now - last_heard(row) > quiet_after
    seen = None if quiet else row.seen
    nearest_last_minute = None
    for slot in slots:
        nearest_last_minute = nearer(nearest_last_minute, slot.nearest)
    return Statistics(
        stream_id=row.stream_id,
        since=row.since,
        frames=row.frames,
        outcomes=row.outcomes,
        frames_per_s=_rate(row, now),
        frames_last_minute=sum(slot.frames for slot in slots),
        latency_p50_ms=quantile(latencies, 0.5),
        latency_p95_ms=quantile(latencies, 0.95),
        labels=_labels(seen.labels if seen else {}, [slot.labels for slot in slots]),
        nearest=seen.nearest if seen else None,
        nearest_last_minute=nearest_last_minute,
        last=row.last,
        quiet=quiet,
        updated_at=now,
    )


def at_rest(statistics: Statistics) -> bool:
    """Whether nothing of it can change any more until the next result comes."""
    return statistics.quiet and not statistics.frames_last_minute and not statistics.frames_per_s


def last_heard(row: StatisticsRow) -> datetime:
    """When the last result was made; a replay of an old frame is a sign of life, a clock ahead is none."""
    if not row.slots:
        return row.since
    begin = _start(row.slots[-1].number)
    return min(max(row.last.fused_at, begin), begin + timedelta(seconds=SLOT_S))


def nearer(one: Nearest | None, other: Nearest | None) -> Nearest | None:
    """The nearer of two; a distance before a relative depth, which cannot be compared with it."""
    if one is None or other is None:
        return one or other
    return min(one, other, key=lambda it: (not it.unit, it.depth if it.unit else -it.depth, it.label))


def _with(row: StatisticsRow, sample: Sample, now: datetime) -> StatisticsRow:
    ended = sample.ended
    newest_first = _order(ended) >= _order(row.last)
    return replace(
        row,
        frames=row.frames + 1,
        outcomes={**row.outcomes, ended.outcome.value: row.outcomes.get(ended.outcome.value, 0) + 1},
        slots=_slots(row.slots, sample, now),
        last=ended if newest_first else row.last,
        seen=sample if newest_first and sample.detected else row.seen,
    )


def _empty(stream_id: str, first: Sample, now: datetime) -> StatisticsRow:
    return StatisticsRow(
        stream_id=stream_id,
        since=min(first.ended.fused_at, now),
        frames=0,
        outcomes={},
        counted=(),
        slots=(),
        last=first.ended,
    )


def _slots(slots: tuple[Slot, ...], sample: Sample, now: datetime) -> tuple[Slot, ...]:
    number = _number(min(sample.ended.fused_at, now))
    kept = {slot.number: slot for slot in slots if slot.number > _number(now) - SLOTS}
    if number > _number(now) - SLOTS:
        kept[number] = _counted_in(kept.get(number) or Slot(number=number), sample)
    return tuple(kept[key] for key in sorted(kept))


def _counted_in(slot: Slot, sample: Sample) -> Slot:
    latency = sample.ended.fused_at - sample.ended.frame.appended_at
    bucket = str(bucket_of(latency / timedelta(milliseconds=1)))
    labels = dict(slot.labels)
    for label, count in sample.labels.items():
        _add(labels, label, count)
    return Slot(
        number=slot.number,
        frames=slot.frames + 1,
        latencies={**slot.latencies, bucket: slot.latencies.get(bucket, 0) + 1},
        labels=labels,
        nearest=nearer(slot.nearest, sample.nearest),
    )


def _rate(row: StatisticsRow, now: datetime) -> float:
    """Results a second in whole slots that have settled; of a stream that has just begun, in all of them."""
    end = _number(now - SETTLE)
    begin = _start(end - RATE_SLOTS)
    if row.since > begin:
        age_s = (now - row.since).total_seconds()
        return sum(slot.frames for slot in row.slots) / max(age_s, 1.0)
    frames = sum(slot.frames for slot in row.slots if 0 < end - slot.number <= RATE_SLOTS)
    return frames / (RATE_SLOTS * SLOT_S)


def _labels(now: Mapping[str, int], minute: Iterable[Mapping[str, int]]) -> tuple[LabelCount, ...]:
    counts: dict[str, int] = {}
    for labels in minute:
        for label, count in labels.items():
            _add(counts, label, count)
    names = sorted(counts.keys() | now.keys(), key=lambda name: (-counts.get(name, 0), name))
    return tuple(LabelCount(name, now.get(name, 0), counts.get(name, 0)) for name in names)


def _add(labels: dict[str, int], label: str, count: int) -> None:
    name = label if label in labels or len(labels) < LABELS else OTHERS
    labels[name] = labels.get(name, 0) + count


def _order(ended: EndedFrame) -> tuple[str, int, int]:
    return (ended.run_id, ended.sequence, ended.attempt)


def _number(moment: datetime) -> int:
    return int(moment.timestamp() // SLOT_S)


def _start(number: int) -> datetime:
    return datetime.fromtimestamp(number * SLOT_S, UTC)
