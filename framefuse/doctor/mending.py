"""What `framefuse topics mend` changes: settings that do not fit, groups whose topics are gone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from framefuse.doctor.fitting import fits
from framefuse.errors import Stop
from framefuse.kafka import Admin, TopicState, group_of
from framefuse.results.standing import Look
from framefuse.settings import KafkaSettings, flags_of
from schemas.topics import ALL


@dataclass(frozen=True, slots=True)
class Change:
    """One setting of one topic."""

    topic: str
    name: str
    found: str
    wanted: str


def changes(states: Sequence[TopicState], prefix: str) -> list[Change]:
    """Every setting of ours that does not fit on the broker: those that `doctor` tells, and no other."""
    wanted = {topic.name(prefix): topic.config for topic in ALL}
    return [
        Change(state.name, name, state.config[name], value)
        for state in states
        for name, value in wanted[state.name].items()
        if not fits(name, state.config.get(name, value), value)
    ]


def by_topic(found: Sequence[Change]) -> dict[str, Mapping[str, str]]:
    """As the broker takes them."""
    topics = dict.fromkeys(one.topic for one in found)
    return {topic: {one.name: one.wanted for one in found if one.topic == topic} for topic in topics}


def lost_groups(kafka: KafkaSettings) -> list[str]:
    """Groups that stand behind the end of their log, so that their workers cannot begin.

    Raises:
        Stop: one of them has members; topics are missing.
    """
    sight = Look(kafka)
    try:
        lost = [one for one in sight.take().stages if one.beyond_the_end]
    finally:
        sight.close()
    for one in lost:
        if one.workers:
            then = f"'framefuse topics mend{flags_of(kafka)}'"
            raise Stop(f"{one.stage} has {one.workers} workers: end them, then {then}")
    return [group_of(kafka, one.stage) for one in lost]


def mend(admin: Admin, found: Sequence[Change], groups: Sequence[str]) -> None:
    """Do it: the settings, then the groups, which begin anew at the start of their log."""
    admin.set_topics(by_topic(found))
    admin.delete_groups(groups)
