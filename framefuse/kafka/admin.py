"""Topics, groups and offsets as an operator sees them."""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import confluent_kafka as ck
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from framefuse.errors import AccessDenied, BrokerUnavailable, PartitionCountMismatch, Retry, Stop
from framefuse.kafka.connection import REQUEST_TIMEOUT_S, client_config, resolve_security
from framefuse.kafka.group_offsets import GroupOffsets
from framefuse.kafka.refusals import (
    denied,
    is_refused,
    is_unknown,
    lacks_right,
    nobody_listens,
    not_believed,
    said,
)
from framefuse.settings import KafkaSettings, flags_of
from schemas.topics import ALL, Topic

GROUP_TIMEOUT_S = 3.0
_TRIES_S = (1.5, 1.5, REQUEST_TIMEOUT_S - 3.0)
"""Short at first: a wrong password is known at once, but told only between two tries."""
_URL_SAFE = str.maketrans("+/", "-_")


@dataclass(frozen=True, slots=True)
class TopicState:
    """One topic as it is on the broker."""

    name: str
    partitions: int
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class GroupState:
    """One consumer group as the broker sees it."""

    members: int
    settled: bool
    """False while it shares out its partitions anew."""
    topics: frozenset[str]
    """Whose partitions its members have."""
    clients: Sequence[str]
    """Client id and host of each member."""


class _Heard:
    """What the client says of its connections. It holds nothing of who asks: the client holds it."""

    def __init__(self) -> None:
        self.trouble: ck.KafkaError | None = None
        self.all_down = False

    def __call__(self, error: ck.KafkaError) -> None:
        """Keep what tells most of why nobody answers: an identity in doubt rather than a connection lost."""
        if error.code() == ck.KafkaError._ALL_BROKERS_DOWN:
            self.all_down = True
            return  # and why was said before
        if self.trouble is None or not is_unknown(self.trouble):
            self.trouble = error


class Admin:
    """Asks and changes the broker; every call raises BrokerUnavailable when none answers."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._bootstrap = client_config(settings, "framefuse-admin")["bootstrap.servers"]
        self._create = f"framefuse topics create{flags_of(settings)}"
        self._heard = _Heard()
        config = client_config(settings, "framefuse-admin") | {"error_cb": self._heard}
        del config["message.max.bytes"]
        self._client = AdminClient(config)

    def partition_counts(self) -> dict[str, int]:
        """Partition count of every topic on the broker that we may see, by full name.

        Raises:
            AccessDenied: broker and client do not believe each other who they are.
        """
        for timeout_s in _TRIES_S:
            try:
                topics = self._client.list_topics(timeout=timeout_s).topics
                return {name: len(topic.partitions) for name, topic in topics.items()}
            except ck.KafkaException as error:
                failed = error
            self._client.poll(0)
            if self._heard.trouble is not None and is_unknown(self._heard.trouble):
                raise not_believed(self._settings, self._heard.trouble, self._bootstrap)
            if self._heard.all_down and self._heard.trouble is not None and is_refused(self._heard.trouble):
                break  # nobody listens anywhere: waiting for an answer tells no more
        raise self._unavailable(failed)

    def partition_count(self, topic: str) -> int:
        """Partition count of one topic.

        Raises:
            Stop: there is no such topic.
        """
        counts = self.partition_counts()
        if topic not in counts:
            raise self._missing(topic)
        return counts[topic]

    def check_partitions(self) -> int:
        """The partition count that `frames` and all topics of one record a frame share.

        Raises:
            Stop: a topic is missing.
            PartitionCountMismatch: they differ.
        """
        counts = self.partition_counts()
        per_frame = [topic.name(self._settings.prefix) for topic in ALL if topic.per_frame]
        for name in per_frame:
            if name not in counts:
                raise self._missing(name)
        frames = counts[per_frame[0]]
        for name in per_frame[1:]:
            if counts[name] != frames:
                raise PartitionCountMismatch(
                    f"{name} has {counts[name]} partitions, {per_frame[0]} has {frames}: "
                    f"'{self._create}' brings them to {max(frames, counts[name])}"
                )
        return frames

    def create_topics(
        self, topics: Sequence[Topic[Any]], *, partitions: int, replication: int = 1
    ) -> list[str]:
        """Create what is missing; the names created. Topics that are there are left as they are."""
        there = self.partition_counts()
        new = [
            NewTopic(
                topic.name(self._settings.prefix),
                num_partitions=partitions if topic.per_frame or topic.keyed else topic.partitions,
                replication_factor=replication,
                config=dict(topic.config),
            )
            for topic in topics
            if topic.name(self._settings.prefix) not in there
        ]
        if new:
            self._await(self._client.create_topics(new, request_timeout=30.0))
            self._until_led([topic.topic for topic in new])
        return [topic.topic for topic in new]

    def level_partitions(self, at_least: int = 1) -> dict[str, int]:
        """Give every topic of one record a frame as many partitions as the one with most; what has grown.

        `frames` last: no frame may sit on a partition that the topics derived from it do not have. Safe
        beside a running pipeline: the join pauses a partition of which it owns one side only.

        Raises:
            Stop: a topic is missing.
        """
        counts = self.partition_counts()
        names = [topic.name(self._settings.prefix) for topic in ALL if topic.per_frame]
        for name in names:
            if name not in counts:
                raise self._missing(name)
        wanted = max(at_least, *(counts[name] for name in names))
        grown = {name: wanted for name in reversed(names) if counts[name] < wanted}
        for name in grown:
            self._await(self._client.create_partitions([NewPartitions(name, wanted)]))
        if grown:
            self._until_led(list(grown), partitions=wanted)
        return grown

    def topic_states(self, names: Sequence[str]) -> list[TopicState]:
        """Partition count and settings of the topics that are there."""
        counts = self.partition_counts()
        there = [name for name in names if name in counts]
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in there]
        configs = self._await(self._client.describe_configs(resources)) if resources else {}
        by_name = {resource.name: entries for resource, entries in configs.items()}
        return [
            TopicState(name, counts[name], {key: str(entry.value) for key, entry in by_name[name].items()})
            for name in there
        ]

    def topic_ids(self, names: Sequence[str]) -> dict[str, str]:
        """Id of each topic, URL-safe as Kafka's own tools print it: a topic made anew has another."""
        described = self._await(self._client.describe_topics(ck.TopicCollection(sorted(set(names)))))
        return {name: str(topic.topic_id).translate(_URL_SAFE) for name, topic in described.items()}

    def end_offsets(self, topic: str) -> dict[int, int]:
        """Next offset of each partition, committed records only."""
        return self._offsets(topic, OffsetSpec.latest())  # type: ignore[no-untyped-call]

    def start_offsets(self, topic: str) -> dict[int, int]:
        """First offset that retention has left in each partition."""
        return self._offsets(topic, OffsetSpec.earliest())  # type: ignore[no-untyped-call]

    def group_offsets(self, group: str, topic: str) -> dict[int, int]:
        """Committed offset per partition; partitions without one are left out."""
        with GroupOffsets(self._settings, group) as offsets:
            return offsets.committed(topic, range(self.partition_count(topic)))

    def group_members(self, group: str) -> int:
        """Number of live members of a consumer group; 0 if there is none."""
        described = self._client.describe_consumer_groups([group], request_timeout=GROUP_TIMEOUT_S)
        return len(self._await(described)[group].members)

    def groups(self, names: Sequence[str]) -> dict[str, GroupState]:
        """Each of these consumer groups; one that is not there has no members."""
        futures = self._client.describe_consumer_groups(list(names), request_timeout=GROUP_TIMEOUT_S)
        found = self._await(futures)
        return {name: _group_state(found[name]) for name in names}

    def broker_settings(self) -> dict[int, Mapping[str, str]]:
        """The settings of every broker, by its number."""
        try:
            brokers = self._client.list_topics(timeout=REQUEST_TIMEOUT_S).brokers
        except ck.KafkaException as error:
            raise self._unavailable(error) from None
        resources = [ConfigResource(ResourceType.BROKER, str(number)) for number in brokers]
        found = self._await(self._client.describe_configs(resources))
        return {
            int(resource.name): {key: str(entry.value) for key, entry in entries.items()}
            for resource, entries in found.items()
        }

    def set_topics(self, changes: Mapping[str, Mapping[str, str]]) -> None:
        """Set these settings of these topics, by full name; all others stay as they are."""
        resources = [
            ConfigResource(
                ResourceType.TOPIC,
                topic,
                incremental_configs=[
                    ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
                    for name, value in settings.items()
                ],
            )
            for topic, settings in changes.items()
        ]
        if resources:
            self._await(self._client.incremental_alter_configs(resources))

    def delete_groups(self, names: Sequence[str]) -> None:
        """Forget what these groups have committed; none may have members."""
        if names:
            self._await(self._client.delete_consumer_groups(list(names)))

    def _until_led(self, names: Sequence[str], *, partitions: int = 1) -> None:
        # The controller says "created"; other brokers, and leaders, know of it some tenths of a second later.
        give_up_s = time.monotonic() + REQUEST_TIMEOUT_S
        while True:
            try:
                for name in names:
                    if (known := len(self.end_offsets(name))) < partitions:
                        raise Retry(f"a broker knows {known} partitions of {name}, not yet {partitions}")
                return
            except (Retry, Stop):
                if time.monotonic() > give_up_s:
                    raise
                time.sleep(0.02)

    def _offsets(self, topic: str, spec: OffsetSpec) -> dict[int, int]:
        request = {ck.TopicPartition(topic, number): spec for number in range(self.partition_count(topic))}
        answer = self._await(
            self._client.list_offsets(request, isolation_level=ck.IsolationLevel.READ_COMMITTED)
        )
        return {part.partition: info.offset for part, info in answer.items()}

    def _missing(self, topic: str) -> Stop:
        """Why a topic is not among those that we see: it is not there, or we may not see it."""
        try:
            self._await(self._client.describe_topics(ck.TopicCollection([topic])))
        except AccessDenied as error:
            return error
        except Stop:
            pass
        return Stop(f"no topic {topic} on {self._bootstrap}: run '{self._create}'")

    def _await(self, futures: Mapping[Any, "Future[Any]"]) -> dict[Any, Any]:
        answers: dict[Any, Any] = {}
        asked: Any = None
        try:
            for asked, future in futures.items():
                answers[asked] = future.result(timeout=30.0)
            return answers
        except ck.KafkaException as error:
            if lacks_right(error.args[0]):
                name = _name_of(asked)
                raise denied(self._settings, error.args[0], "see or change", topic=name, group=name) from None
            if error.args[0].code() in (ck.KafkaError._TRANSPORT, ck.KafkaError._TIMED_OUT):
                raise self._unavailable(error) from None
            if error.args[0].retriable():
                raise Retry(f"{self._bootstrap}: {error.args[0].str()}") from None
            raise Stop(f"{self._bootstrap}: {error.args[0].str()}") from None
        except TimeoutError:
            self._client.poll(0)  # tells us what went wrong meanwhile
            why = f": {self._heard.trouble.str()}" if self._heard.trouble is not None else ""
            raise BrokerUnavailable(f"{self._bootstrap} did not answer in 30 s{why}") from None

    def _unavailable(self, error: ck.KafkaException) -> BrokerUnavailable:
        security = resolve_security(self._settings)
        trouble = self._heard.trouble or error.args[0]
        unused = f", so {' and '.join(security.unused)} did nothing" if security.unused else ""
        spoken = f"; tried was FRAMEFUSE_SECURITY_PROTOCOL={security.protocol}{unused}"
        return BrokerUnavailable(
            f"no broker answers at {self._bootstrap} ({said(trouble)}): "
            "is it up? 'framefuse broker status'; another address: FRAMEFUSE_BOOTSTRAP=host:port"
            + ("" if nobody_listens(trouble) and not unused else spoken)
        )


def _name_of(asked: Any) -> str:  # noqa: ANN401 - what a request to the client has as its key
    """Of a topic or group: a string, or something that has a name or a topic."""
    return str(getattr(asked, "name", None) or getattr(asked, "topic", None) or asked)


def _group_state(group: Any) -> GroupState:  # noqa: ANN401 - the client's stubs do not know it
    members = group.members
    topics = (part.topic for member in members for part in member.assignment.topic_partitions)
    return GroupState(
        members=len(members),
        settled=group.state in (ck.ConsumerGroupState.STABLE, ck.ConsumerGroupState.EMPTY),
        topics=frozenset(topics),
        clients=[f"{member.client_id} on {member.host.lstrip('/')}" for member in members],
    )
