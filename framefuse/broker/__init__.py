"""A real Apache Kafka on this machine, started by the project itself: jars, Java, start and stop."""

from framefuse.broker.home import RunningBroker
from framefuse.broker.lifecycle import (
    KAFKA_VERSION,
    LOCK,
    answers,
    default_data_dir,
    running_bootstrap,
    start,
    status,
    stop,
)

__all__ = [
    "KAFKA_VERSION",
    "LOCK",
    "RunningBroker",
    "answers",
    "default_data_dir",
    "running_bootstrap",
    "start",
    "status",
    "stop",
]
