"""Grants rights on the broker, as access control entries; never takes one away."""

from collections.abc import Iterable

from confluent_kafka import KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from framefuse.errors import Stop
from framefuse.kafka.connection import client_config
from framefuse.kafka.refusals import denied, lacks_right
from framefuse.rights import Resource, Right
from framefuse.settings import KafkaSettings

_KINDS = {
    Resource.TOPIC: ResourceType.TOPIC,
    Resource.GROUP: ResourceType.GROUP,
    Resource.TRANSACTIONAL_ID: ResourceType.TRANSACTIONAL_ID,
    Resource.CLUSTER: ResourceType.BROKER,
}


def grant(settings: KafkaSettings, rights: Iterable[tuple[str, Right]]) -> int:
    """Let principals do what is theirs, from any host; how many entries that made or found.

    Args:
        settings: of somebody who may alter the cluster.
        rights: principals as Kafka has them, such as `User:framefuse-join`, with a right each.

    Raises:
        AccessDenied: this user may not.
        Stop: the broker has no authorizer, or does not answer.
    """
    bindings = [entry for principal, right in rights for entry in _entries(principal, right)]
    config = client_config(settings, "framefuse-admin")
    del config["message.max.bytes"]
    client = AdminClient(config)
    try:
        for future in client.create_acls(bindings, request_timeout=30.0).values():
            future.result(timeout=30.0)
    except KafkaException as error:
        if lacks_right(error.args[0]):
            raise denied(settings, error.args[0], "alter") from None
        raise Stop(f"the broker took no rights: {error.args[0].str()}") from None
    return len(bindings)


def _entries(principal: str, right: Right) -> Iterable[AclBinding]:
    pattern = ResourcePatternType.PREFIXED if right.prefixed else ResourcePatternType.LITERAL
    for operation in right.operations:
        yield AclBinding(
            _KINDS[right.resource],
            right.name,
            pattern,
            principal,
            "*",
            _operation(operation),
            AclPermissionType.ALLOW,
        )


def _operation(name: str) -> AclOperation:
    """From Kafka's spelling to the client's: DescribeConfigs is DESCRIBE_CONFIGS there."""
    return AclOperation["".join(f"_{letter}" if letter.isupper() else letter for letter in name)[1:].upper()]
