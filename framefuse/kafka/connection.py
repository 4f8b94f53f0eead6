"""How every client reaches the broker: address, common settings, security, logging, names of groups."""

import logging
import time
from pathlib import Path
from typing import Any

import confluent_kafka as ck
import platformdirs

from framefuse.errors import BadInput, BrokerUnavailable
from framefuse.kafka.security import Security, security_of
from framefuse.settings import KafkaSettings

log = logging.getLogger("framefuse.kafka")
_CLIENT_LOG = logging.getLogger("framefuse.librdkafka")
"""It tells of each try to connect; what it gives up on is raised, and `log_error` tells of the rest."""
MESSAGE_LIMIT_BYTES = 8 << 20
QUEUE_LIMIT_RECORDS, QUEUE_LIMIT_BYTES = 100_000, 256 << 20
"""Of a producer: what is handed over and not yet acknowledged."""
REQUEST_TIMEOUT_S = 10.0
METADATA_REFRESH_S = 15
_TELL_INTERVAL_S = 30.0

Config = dict[str, Any]


def group_of(settings: KafkaSettings, stage: str) -> str:
    """Consumer group id of a stage."""
    return f"{settings.prefix}.{stage}"


def resolve_bootstrap(settings: KafkaSettings) -> str:
    """The broker's address: as set, else the broker that `framefuse broker up` started.

    Raises:
        BrokerUnavailable: neither is there.
        BadInput: TLS or a login was asked for, and no broker that could have them.
    """
    if settings.bootstrap:
        return settings.bootstrap
    if settings.security_protocol != "PLAINTEXT":
        raise BadInput(
            f"FRAMEFUSE_SECURITY_PROTOCOL is {settings.security_protocol}, FRAMEFUSE_BOOTSTRAP is missing: "
            "the broker of 'framefuse broker up' speaks PLAINTEXT, on this machine only"
        )
    from framefuse.broker import running_bootstrap, unclaimed_bootstrap

    found = running_bootstrap()
    if found is not None:
        return found
    unclaimed = unclaimed_bootstrap()
    if unclaimed is not None:
        raise BrokerUnavailable(
            f"no broker of 'framefuse broker up' is known, but a Kafka answers at {unclaimed}: take it with "
            f"FRAMEFUSE_BOOTSTRAP={unclaimed} (or --bootstrap), or, where it was started with --data FOLDER, "
            "with FRAMEFUSE_BROKER_DATA=FOLDER"
        )
    raise BrokerUnavailable(
        "no broker: set FRAMEFUSE_BOOTSTRAP=host:port (or --bootstrap), "
        "or start one on this machine with 'framefuse broker up'"
    )


def resolve_security(settings: KafkaSettings) -> Security:
    """Who we are and how we speak to that broker.

    Raises:
        BrokerUnavailable, BadInput: as `resolve_bootstrap` and `security_of`.
    """
    return security_of(settings, resolve_bootstrap(settings))


def client_config(settings: KafkaSettings, client_id: str) -> Config:
    """What every client has in common; nothing else makes the configuration of one.

    Raises:
        BrokerUnavailable, BadInput: as `resolve_bootstrap` and `security_of`.
    """
    if _CLIENT_LOG.level == logging.NOTSET:
        _CLIENT_LOG.setLevel(logging.CRITICAL)
    return {
        "bootstrap.servers": resolve_bootstrap(settings),
        **resolve_security(settings).properties(),
        "client.id": client_id,
        "error_cb": log_error,
        "logger": _CLIENT_LOG,
        "message.max.bytes": MESSAGE_LIMIT_BYTES + (1 << 16),
        "socket.keepalive.enable": True,
        "reconnect.backoff.max.ms": 2000,
        # A topic that is being made is unknown for a moment; ours say so after this long.
        "topic.metadata.propagation.max.ms": 5000,
        # So long until a running client notices that topics have grown; the default is 5 minutes.
        "topic.metadata.refresh.interval.ms": METADATA_REFRESH_S * 1000,
    }


def producer_config(settings: KafkaSettings, client_id: str) -> Config:
    """What every producer has in common: idempotent, keys on the partition that Java clients choose."""
    return {
        **client_config(settings, client_id),
        "enable.idempotence": True,
        "partitioner": "murmur2_random",
        "queue.buffering.max.messages": QUEUE_LIMIT_RECORDS,
        "queue.buffering.max.kbytes": QUEUE_LIMIT_BYTES >> 10,
    }


_told_s: dict[int, float] = {}


def log_error(error: ck.KafkaError) -> None:
    """Log what a client says of its connections, each kind of error twice a minute at most."""
    # librdkafka reconnects by itself, many times a second, and tells of each try: once in a while is enough.
    now_s = time.monotonic()
    if now_s - _told_s.get(error.code(), -_TELL_INTERVAL_S) >= _TELL_INTERVAL_S:
        _told_s[error.code()] = now_s
        log.warning("broker connection: %s", error.str())


def spool_dir() -> Path:
    """Where processes of this user on this host leave small files for each other."""
    return Path(platformdirs.user_cache_dir("framefuse")) / "run"
