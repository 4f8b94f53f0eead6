"""The rights that each principal needs in Kafka, derived from what the stages declare; pure data.

One principal a stage, and one for each kind of client. Knows no Kafka client: `framefuse.kafka.acls` grants
them, `framefuse topics acls` prints them, and the tests run a whole pipeline with these and no others.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from schemas.topics import (
    ALL,
    DEAD_LETTERS,
    FRAMES,
    FUSED,
    SCHEMAS,
    STATISTICS,
    STREAM_STATES,
    STREAMS,
    Topic,
)

if TYPE_CHECKING:
    from framefuse.types import Stage


class Resource(StrEnum):
    """What a right is about; the values are the options of Kafka's own `kafka-acls`."""

    TOPIC = "topic"
    GROUP = "group"
    TRANSACTIONAL_ID = "transactional-id"
    CLUSTER = "cluster"
    """There is one, and its name is `kafka-cluster`."""


@dataclass(frozen=True, slots=True)
class Right:
    """Some operations on one resource, or on all whose names begin so."""

    resource: Resource
    name: str
    operations: tuple[str, ...]
    """As Kafka spells them: Read, Write, Create, Describe, Alter, Delete, DescribeConfigs, AlterConfigs."""
    prefixed: bool = False


@dataclass(frozen=True, slots=True)
class Role:
    """Somebody who speaks to the broker."""

    name: str
    does: str
    rights: tuple[Right, ...]


def roles(prefix: str, stages: Iterable["Stage[Any]"]) -> list[Role]:
    """All principals of a pipeline: who makes topics, who publishes, who reads, and one a stage."""
    clients = [
        _admin(prefix),
        _publisher(prefix),
        _streams(prefix),
        _subscriber(prefix),
        _dead_letters(prefix),
    ]
    return [*clients, *(_stage(prefix, stage) for stage in stages)]


def _admin(prefix: str) -> Role:
    every = ("Create", "Describe", "Alter", "DescribeConfigs", "AlterConfigs")
    return Role(
        "admin",
        "topics create, list, grow, mend; doctor",
        (
            Right(Resource.TOPIC, f"{prefix}.", every, prefixed=True),
            _topic(prefix, SCHEMAS, "Read", "Write"),
            Right(Resource.GROUP, f"{prefix}.", ("Describe", "Delete"), prefixed=True),
            Right(Resource.CLUSTER, "kafka-cluster", ("Describe", "DescribeConfigs")),
        ),
    )


def _publisher(prefix: str) -> Role:
    return Role(
        "publisher",
        "publish, FramePublisher, cameras",
        (
            _topic(prefix, FRAMES, "Write"),
            _topic(prefix, STREAM_STATES, "Write"),
            Right(Resource.GROUP, f"{prefix}.", ("Describe",), prefixed=True),
        ),
    )


def _streams(prefix: str) -> Role:
    return Role(
        "streams",
        "streams add, remove, apply, list; run camera --config",
        (
            _topic(prefix, STREAMS, "Read", "Write"),
            _topic(prefix, STREAM_STATES, "Read"),
            _topic(prefix, STATISTICS, "Read"),
            _topic(prefix, FRAMES, "Describe"),
            _topic(prefix, SCHEMAS, "Read", "Write"),
            Right(Resource.TRANSACTIONAL_ID, f"{prefix}.streams", ("Write", "Describe")),
        ),
    )


def _subscriber(prefix: str) -> Role:
    read = (FUSED, FRAMES, DEAD_LETTERS, STREAM_STATES, STATISTICS, SCHEMAS)
    return Role(
        "subscriber",
        "watch, audit, publish --wait, ResultSubscriber (a group of its own: Read on it too)",
        (
            Right(Resource.TOPIC, f"{prefix}.", ("Describe",), prefixed=True),
            *(_topic(prefix, topic, "Read") for topic in read),
            Right(Resource.GROUP, f"{prefix}.", ("Describe",), prefixed=True),
        ),
    )


def _dead_letters(prefix: str) -> Role:
    return Role(
        "dead-letters",
        "dead-letters list, show, replay, dismiss",
        (
            _topic(prefix, DEAD_LETTERS, "Read", "Write"),
            _topic(prefix, FRAMES, "Write"),
            *(_topic(prefix, topic, "Read") for topic in (FUSED, SCHEMAS)),
            Right(Resource.GROUP, f"{prefix}.", ("Describe",), prefixed=True),
        ),
    )


def _stage(prefix: str, stage: "Stage[Any]") -> Role:
    """Its inputs, its output, its group, and the transactional ids of its workers, which begin like it."""
    name = f"{prefix}.{stage.name}"
    output: Sequence[Right] = ()
    if isinstance(stage.to, Topic):
        output = (
            # A merge looks at the end of what it wrote, where its group has forgotten how far it was.
            _topic(prefix, stage.to, *(("Read", "Write") if stage.merge else ("Write",))),
            Right(Resource.TRANSACTIONAL_ID, f"{name}.", ("Write", "Describe"), prefixed=True),
        )
    elif STREAMS in stage.sources:  # it publishes what is declared
        output = (*_publisher(prefix).rights, _topic(prefix, STREAM_STATES, "Read"))
    elif stage.main is not None:  # what it keeps in Kafka has its name
        output = (Right(Resource.TOPIC, name, ("Read", "Write"), prefixed=True),)
    return Role(
        stage.name,
        f"run {stage.name}",
        (
            *(_topic(prefix, topic, "Describe") for topic in ALL if topic.per_frame),
            *(_topic(prefix, source, "Read") for source in stage.sources),
            _topic(prefix, SCHEMAS, "Read", "Write"),
            *output,
            _topic(prefix, DEAD_LETTERS, "Write"),
            Right(Resource.GROUP, name, ("Read",)),
        ),
    )


def _topic(prefix: str, topic: Topic[Any], *operations: str) -> Right:
    return Right(Resource.TOPIC, topic.name(prefix), operations)
