"""What the benchmarks share: a broker of their own with empty topics, and how they say what they found."""

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from framefuse import broker
from framefuse.kafka import Admin
from framefuse.kafka.schema_topic import SchemaTopic
from framefuse.settings import KafkaSettings
from schemas.topics import ALL

PARTITIONS = 4


@contextmanager
def a_broker(folder: Path) -> Iterator[KafkaSettings]:
    """A broker with the topics of a pipeline; gone afterwards."""
    running = broker.start(folder / "broker", port=0)
    try:
        kafka = KafkaSettings(bootstrap=running.bootstrap, prefix="bench")
        Admin(kafka).create_topics(ALL, partitions=PARTITIONS)
        SchemaTopic(kafka)
        yield kafka
    finally:
        broker.stop(folder / "broker", graceful=False)


def environment(kafka: KafkaSettings, **more: str) -> dict[str, str]:
    """Where the commands of a benchmark find its broker."""
    return {"FRAMEFUSE_BOOTSTRAP": str(kafka.bootstrap), "FRAMEFUSE_PREFIX": kafka.prefix, **more}


def quantiles(times_ms: Sequence[float]) -> dict[str, float]:
    """Median and 95th percentile."""
    ordered = sorted(times_ms)
    return {"p50_ms": statistics.median(ordered), "p95_ms": ordered[int(0.95 * (len(ordered) - 1))]}


def parser_of(description: str | None) -> argparse.ArgumentParser:
    """A parser whose help is the module's own text, as it stands."""
    return argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def print_measured(
    measure: Callable[[argparse.Namespace, Path], Mapping[str, Any]], arguments: argparse.Namespace
) -> None:
    """Measure in a folder that goes afterwards, and print one JSON object."""
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(arguments, Path(folder)), indent=1))  # noqa: T201
