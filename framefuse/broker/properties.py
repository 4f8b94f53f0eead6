"""What the embedded broker is told: `server.properties`, the logging set-up, the JVM's flags; as pure text.

Made for one machine: it listens on loopback only, keeps one copy of everything, and is back soon after a
crash. Starts nothing and writes nothing.
"""

from collections.abc import Mapping
from pathlib import Path

MIB = 1024 * 1024
LARGEST_MESSAGE_BYTES = 9 * MIB
"""Dead letters hold 8 MiB of original value; the rest is room for their headers and the batch's own bytes."""

JVM_FLAGS = (
    "-Xms64m",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.awt.headless=true",
)


def server_properties(
    *, data_dir: Path, port: int, controller_port: int, extra: Mapping[str, str] | None = None
) -> str:
    """Give the text of `server.properties` for a broker that is its own controller.

    Args:
        data_dir: absolute; the log goes below it.
        port: where clients connect, on 127.0.0.1.
        controller_port: where the broker talks to itself, on 127.0.0.1.
        extra: Kafka properties that win over ours, for tests, several brokers or SASL.
    """
    listeners = f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}"
    properties = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "listeners": listeners,
        "advertised.listeners": listeners,
        "log.dirs": str(data_dir / "log"),
        **_LIMITS,
        **_ONE_COPY,
        **_QUICK_ANSWERS,
        **(extra or {}),
    }
    return "".join(f"{key}={_escaped(value)}\n" for key, value in properties.items())


_LIMITS = {
    "auto.create.topics.enable": "false",
    "message.max.bytes": str(LARGEST_MESSAGE_BYTES),
    "replica.fetch.max.bytes": str(LARGEST_MESSAGE_BYTES),
    "replica.fetch.response.max.bytes": str(LARGEST_MESSAGE_BYTES),
    # Without these two, requests that wait in the queue may hold more than the whole heap.
    "socket.request.max.bytes": str(32 * MIB),
    "queued.max.request.bytes": str(128 * MIB),
    "log.cleaner.dedupe.buffer.size": str(16 * MIB),
    "log.retention.check.interval.ms": "30000",
}

_ONE_COPY = {
    "default.replication.factor": "1",
    "min.insync.replicas": "1",
    "offsets.topic.num.partitions": "4",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
}

_QUICK_ANSWERS = {
    "group.initial.rebalance.delay.ms": "0",
    # A killed worker's open transaction blocks readers until it is cleaned up: 10 s more with the default.
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    # After kill -9 the broker may only come back when its old session has ended: 9 s with the default.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
}


def log4j_configuration(log_file: Path) -> str:
    """Give a Log4j set-up that keeps at most two files of 20 MB beside each other."""
    return (
        "status=error\n"
        "appender.file.type=RollingFile\n"
        "appender.file.name=file\n"
        f"appender.file.fileName={_escaped(str(log_file))}\n"
        f"appender.file.filePattern={_escaped(str(log_file))}.%i\n"
        "appender.file.layout.type=PatternLayout\n"
        "appender.file.layout.pattern=%d{yyyy-MM-dd HH:mm:ss,SSS} %p %m (%c)%n\n"
        "appender.file.policies.type=SizeBasedTriggeringPolicy\n"
        "appender.file.policies.size=20MB\n"
        "appender.file.strategy.type=DefaultRolloverStrategy\n"
        "appender.file.strategy.max=1\n"
        "logger.dump.name=org.apache.kafka.common.config.AbstractConfig\n"
        "logger.dump.level=warn\n"
        "rootLogger.level=info\n"
        "rootLogger.appenderRef.file.ref=file\n"
    )


def _escaped(value: str) -> str:
    """A Java properties file takes a backslash as the start of an escape."""
    return value.replace("\\", "\\\\")
