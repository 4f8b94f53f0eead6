"""A real Apache Kafka on this machine, started by the project itself: jars, Java, start and stop."""

from framefuse.broker.home import RunningBroker
from framefuse.broker.lifecycle import (
    DATA_VARIABLE,
    KAFKA_VERSION,
    LOCK,
    answers,
    default_data_dir,
    running_bootstrap,
    start,
    status,
    stop,
    unclaimed_bootstrap,
)

__all__ = [
    "DATA_VARIABLE",
    "KAFKA_VERSION",
    "LOCK",
    "RunningBroker",
    "answers",
    "default_data_dir",
    "running_bootstrap",
    "start",
    "status",
    "stop",
    "unclaimed_bootstrap",
]
