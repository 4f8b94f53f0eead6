"""The stages: whether each has workers, and whether its group id means the log that is there."""

from collections.abc import Mapping, Sequence

from framefuse.doctor.findings import Check, Finding, Scene, not_asked, ok, problem, warning
from framefuse.errors import Stop
from framefuse.kafka import Admin, group_of
from framefuse.results.standing import Look, frames_to_come
from framefuse.results.watching import StageLag, Watch
from schemas.topics import FRAMES

_GROUPS, _WORKERS = "group ids", "workers"


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
    finally:
        sight.close()
    stages, partitions = standing.stages, counts[FRAMES.name(scene.kafka.prefix)]
    watch = Watch(frames_to_come(scene.kafka))
    in_flight = watch.ledger(standing.frames).in_flight
    waiting = {one.stage: waiting_for(one, watch.behind(one, in_flight), in_flight) for one in stages}
    names = {one.stage: group_of(scene.kafka, one.stage) for one in stages}
    strange = [found for one in stages for found in group(one, names[one.stage])]
    well = ok(_GROUPS, f"{', '.join(names.values())}: each stands within its log")
    return [*(strange or [well]), *workers(stages, partitions, waiting)]


def group(lag: StageLag, name: str) -> list[Finding]:
    """What is wrong with one group."""
    found = []
    if lag.beyond_the_end:
        text = f"{name} stands behind the end of its log: a topic was made anew since"
        found.append(problem(_GROUPS, text, "framefuse topics mend"))
    if lag.strangers:
        text = f"{name} has members that read something else: {', '.join(lag.strangers[:3])}"
        found.append(problem(_GROUPS, text, "FRAMEFUSE_PREFIX=another, or end those programs"))
    return found


def waiting_for(stage: StageLag, behind: int | None, in_flight: int) -> int:
    """Frames that wait for a stage; one that never ran holds up what is in flight, or nobody."""
    if behind is None:
        return in_flight if stage.before_outcome else 0
    return behind


def workers(stages: Sequence[StageLag], partitions: int, waiting: Mapping[str, int]) -> list[Finding]:
    """Who is missing, and who is too many."""
    looked = [(_too_many(stage, partitions), _missing(stage, waiting[stage.stage])) for stage in stages]
    found = [one for pair in looked for one in pair if one]
    if found:
        return found
    present = [f"{one.stage} {one.workers}" for one in stages if one.workers]
    return [ok(_WORKERS, ", ".join(present) or "none, and nothing waits for any")]


def _too_many(stage: StageLag, partitions: int) -> Finding | None:
    if stage.workers <= partitions:
        return None
    text = f"{stage.stage} has {stage.workers} workers for {partitions} partitions: the rest idle"
    return warning(_WORKERS, text, f"framefuse topics grow --partitions {stage.workers}")


def _missing(stage: StageLag, waiting: int) -> Finding | None:
    if stage.workers or not waiting:
        return None
    of_frames = stage.before_outcome or stage.first_frames is not None
    what = f"{waiting:,} {'frames' if of_frames else 'records'}"
    text, run = f"{stage.stage} has none, and {what} wait for it", f"framefuse run {stage.stage}"
    return problem(_WORKERS, text, run) if stage.before_outcome else warning(_WORKERS, text, run)


CHECK = Check(_WORKERS, look, needs_broker=True, timeout_s=10.0)
