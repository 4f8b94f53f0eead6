"""The stages: whether each has workers, and whether its group id means the log that is there."""

import time
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from framefuse.doctor.findings import Check, Finding, Scene, not_asked, ok, problem, warning
from framefuse.errors import Stop
from framefuse.kafka import Admin, Reader, group_of
from framefuse.results.standing import Look, frames_to_come
from framefuse.results.watching import StageLag, Watch
from schemas.topics import FRAMES

_GROUPS, _WORKERS = "group ids", "workers"
_WATCHED_S = 12.0
"""A stage is given this long to move; one that works moves within a second or two, and ends the wait."""


def look(scene: Scene) -> Sequence[Finding]:
    """Ask, then judge."""
    counts = Admin(scene.kafka).partition_counts()
    if FRAMES.name(scene.kafka.prefix) not in counts:
        return [not_asked(_GROUPS, "no topics"), not_asked(_WORKERS, "no topics")]
    try:
        sight = Look(scene.kafka)
    except Stop:
        return [not_asked(_GROUPS, "topics are missing"), not_asked(_WORKERS, "topics are missing")]
    try:
        standing = sight.take()
        still = _standing_still(scene, sight, standing.stages)
    finally:
        sight.close()
    stages, partitions = standing.stages, counts[FRAMES.name(scene.kafka.prefix)]
    watch = Watch(frames_to_come(scene.kafka))
    in_flight = watch.ledger(standing.frames).in_flight
    waiting = {one.stage: waiting_for(one, watch.behind(one, in_flight), in_flight) for one in stages}
    names = {one.stage: group_of(scene.kafka, one.stage) for one in stages}
    strange = [found for one in stages for found in group(one, names[one.stage], scene.flags)]
    well = ok(_GROUPS, f"{', '.join(names.values())}: each stands within its log")
    return [*(strange or [well]), *workers(stages, partitions, waiting, still, scene.flags)]


def _standing_still(scene: Scene, sight: Look, stages: Sequence[StageLag]) -> frozenset[str]:
    """Stages with workers and old records to read that have not moved in all the time we looked."""
    suspects = {one.stage: one for one in stages if one.workers and one.settled}
    with Reader(scene.kafka, client_id="framefuse-doctor") as reader:
        suspects = {name: one for name, one in suspects.items() if _has_old_records(reader, one)}
    give_up_s = time.monotonic() + _WATCHED_S
    while suspects and time.monotonic() < give_up_s:
        time.sleep(1.0)
        now = {one.stage: one for one in sight.take().stages}
        suspects = {name: one for name, one in suspects.items() if now[name].committed == one.committed}
    return frozenset(suspects)


def _has_old_records(reader: Reader, stage: StageLag) -> bool:
    """Whether each of its topics has a record for it that is older than it may stand still."""
    topics = {part.topic for part in stage.committed}
    moment = datetime.now(UTC) - timedelta(seconds=stage.patience_s)
    young = {topic: reader.offsets_at(topic, moment) for topic in topics}
    return bool(topics) and all(
        any(at < young[topic].get(part, at) for part, at in stage.committed.items() if part.topic == topic)
        for topic in topics
    )


def group(lag: StageLag, name: str, flags: str = "") -> list[Finding]:
    """What is wrong with one group."""
    found = []
    if lag.beyond_the_end:
        text = f"{name} stands behind the end of its log: a topic was made anew since"
        found.append(problem(_GROUPS, text, f"framefuse topics mend{flags}"))
    if lag.strangers:
        text = f"{name} has members that read something else: {', '.join(lag.strangers[:3])}"
        found.append(problem(_GROUPS, text, "FRAMEFUSE_PREFIX=another, or end those programs"))
    return found


def waiting_for(stage: StageLag, behind: int | None, in_flight: int) -> int:
    """Frames that wait for a stage; one that never ran holds up what is in flight, or nobody."""
    if behind is None:
        return in_flight if stage.before_outcome else 0
    return behind


def workers(
    stages: Sequence[StageLag],
    partitions: int,
    waiting: Mapping[str, int],
    still: Collection[str] = (),
    flags: str = "",
) -> list[Finding]:
    """Who is missing, who is too many, and who does not move.

    Args:
        stages: as they stand.
        partitions: of each topic.
        waiting: by stage, the frames that wait for it.
        still: stages that have not moved for long, with something to do.
        flags: that lead a command to these topics.
    """
    looked = [
        (
            _too_many(stage, partitions, flags),
            _missing(stage, waiting[stage.stage], flags),
            _stuck(stage, waiting[stage.stage], flags) if stage.stage in still else None,
        )
        for stage in stages
    ]
    found = [one for several in looked for one in several if one]
    if found:
        return found
    present = [f"{one.stage} {one.workers}" for one in stages if one.workers]
    return [ok(_WORKERS, ", ".join(present) or "none, and nothing waits for any")]


def _too_many(stage: StageLag, partitions: int, flags: str) -> Finding | None:
    if stage.workers <= partitions:
        return None
    text = f"{stage.stage} has {stage.workers} workers for {partitions} partitions: the rest idle"
    return warning(_WORKERS, text, f"framefuse topics grow --partitions {stage.workers}{flags}")


def _missing(stage: StageLag, waiting: int, flags: str) -> Finding | None:
    if stage.workers or not waiting:
        return None
    text = f"{stage.stage} has none, and {_counted(stage, waiting)} for it"
    run = f"framefuse run {stage.stage}{flags}"
    return problem(_WORKERS, text, run) if stage.before_outcome else warning(_WORKERS, text, run)


def _stuck(stage: StageLag, waiting: int, flags: str) -> Finding:
    """The worker alone knows why: its log says, and its /readyz."""
    text = f"{stage.stage} has {stage.workers} and does not move, {_counted(stage, waiting)} for it"
    return problem(_WORKERS, text, f"what the log and /readyz of 'framefuse run {stage.stage}{flags}' say")


def _counted(stage: StageLag, waiting: int) -> str:
    of_frames = stage.before_outcome or stage.first_frames is not None
    one, many = ("frame waits", "frames wait") if of_frames else ("record waits", "records wait")
    return f"{waiting:,} {one if waiting == 1 else many}"


CHECK = Check(_WORKERS, look, needs_broker=True, timeout_s=30.0)
