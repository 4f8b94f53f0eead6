"""The topics: whether all are there, with the same partition count, limits and times that fit."""

from collections.abc import Mapping, Sequence
from typing import Any

from framefuse.doctor.findings import Check, Finding, Scene, ok, problem, warning
from framefuse.doctor.fitting import fits
from framefuse.kafka import Admin, TopicState
from schemas.topics import ALL, FRAMES, Topic

_SHORTEST_MS = 600_000
_COMPACTION = ("segment.ms", "segment.bytes", "min.cleanable.dirty.ratio")
_CREATE, _MEND = "framefuse topics create", "framefuse topics mend"

There = Sequence[tuple[Topic[Any], TopicState]]
"""The topics of a pipeline that are on the broker: as they should be, and as they are."""


def look(scene: Scene) -> Sequence[Finding]:
    """Ask, then judge."""
    prefix, admin, flags = scene.kafka.prefix, Admin(scene.kafka), scene.flags
    counts = admin.partition_counts()
    names = {topic.name(prefix): topic for topic in ALL}
    states = {state.name: state for state in admin.topic_states([*names])}
    there = [(topic, states[name]) for name, topic in names.items() if name in states]
    missing = [name for name in names if name not in states]
    return [
        present(missing, prefix, other_prefixes(counts, prefix), flags),
        *([judge(there, flags) for judge in (partitions, limits, retention, timestamps)] if there else []),
    ]


def other_prefixes(counts: Mapping[str, int], prefix: str) -> list[str]:
    """Prefixes under which the broker holds pipelines beside this one."""
    found = [name.removesuffix(f".{FRAMES.suffix}") for name in counts if name.endswith(f".{FRAMES.suffix}")]
    return sorted(one for one in found if one != prefix)


def present(missing: Sequence[str], prefix: str, others: Sequence[str], flags: str = "") -> Finding:
    """Whether all are there."""
    if not missing:
        return ok("topics", f"all {len(ALL)} of {prefix} are there")
    if len(missing) < len(ALL):
        return problem("topics", f"missing: {', '.join(missing)}", _CREATE + flags)
    if not others:
        return problem("topics", f"no topic of {prefix}", _CREATE + flags)
    hint = f"there are pipelines under the prefix {', '.join(others[:3])}"
    named = "" if "--prefix " in flags else f" --prefix {prefix}"
    return problem("topics", f"no topic of {prefix}; {hint}", f"{_CREATE}{flags}{named}")


def partitions(there: There, flags: str = "") -> Finding:
    """Whether those with one record a frame have the same count."""
    counts = {topic.suffix: state.partitions for topic, state in there if topic.per_frame}
    if len(set(counts.values())) == 1:
        return ok("partition counts", f"{next(iter(counts.values()))} each: {', '.join(counts)}")
    text = "they differ: " + ", ".join(f"{name} {count}" for name, count in counts.items())
    return problem("partition counts", text, _CREATE + flags)


def limits(there: There, flags: str = "") -> Finding:
    """Whether the largest record of each fits."""
    small = [
        f"{topic.suffix} takes {_mib(found)}, its records need {_mib(wanted)}"
        for topic, found, wanted in unfit(there, "max.message.bytes")
    ]
    if small:
        return problem("limits", "; ".join(small), _MEND + flags)
    return ok("limits", "every topic takes its largest record")


def retention(there: There, flags: str = "") -> Finding:
    """Whether records stay until every stage has read them, and are removed after."""
    wrong = [
        f"{topic.suffix} has cleanup.policy={found}, expected {wanted}"
        for topic, found, wanted in unfit(there, "cleanup.policy")
    ]
    short = []
    for topic, found, _ in unfit(there, "retention.ms"):
        if int(found) < _SHORTEST_MS:
            wrong.append(f"{topic.suffix} keeps {_minutes(int(found))}, less than workers may be away")
        else:
            short.append(f"{topic.suffix} keeps {_minutes(int(found))}")
    short += [
        f"{topic.suffix} keeps {_mib(found)} a partition"
        for topic, found, _ in unfit(there, "retention.bytes")
    ]
    late = {name: [topic.suffix for topic, *_ in unfit(there, name)] for name in _COMPACTION}
    if wrong:
        return problem("retention", "; ".join(wrong), _MEND + flags)
    if short:
        text = f"shorter than by default: {', '.join(short)}; what stages do not read in time is lost"
        return warning("retention", text, _MEND + flags)
    if any(late.values()):
        of = ", ".join(dict.fromkeys(suffix for suffixes in late.values() for suffix in suffixes))
        text = f"{of} compacted late, by {', '.join(name for name in late if late[name])}: slow to start from"
        return warning("retention", text, _MEND + flags)
    kept = {topic.suffix: int(state.config["retention.ms"]) for topic, state in there}
    return ok("retention", f"frames {_minutes(kept.get(FRAMES.suffix, -1))}, results at least as by default")


def timestamps(there: There, flags: str = "") -> Finding:
    """Whether the broker's clock dates what we count ages from: frames, and what is said of streams."""
    key, wanted = "message.timestamp.type", FRAMES.config["message.timestamp.type"]
    wrong = unfit(there, key)
    if wrong:
        of = ", ".join(topic.suffix for topic, *_ in wrong)
        return problem("timestamps", f"{of}: {key}={wrong[0][1]}, expected {wanted}", _MEND + flags)
    return ok("timestamps", "the broker's clock dates every frame")


def unfit(there: There, name: str) -> list[tuple[Topic[Any], str, str]]:
    """Topics whose setting `name` does not fit: the topic, what was found, what we make it with."""
    return [
        (topic, state.config[name], topic.config[name])
        for topic, state in there
        if name in topic.config and name in state.config
        if not fits(name, state.config[name], topic.config[name])
    ]


def _mib(size: str) -> str:
    return f"{int(size) / (1 << 20):.3g} MiB"


def _minutes(milliseconds: int) -> str:
    if milliseconds < 0:
        return "for ever"
    hours = milliseconds / 3_600_000
    return f"{hours:g} h" if hours >= 1 else f"{milliseconds / 60_000:g} min"


CHECK = Check("topics", look, needs_broker=True)
