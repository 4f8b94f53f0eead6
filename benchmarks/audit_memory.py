"""What an audit of many frames takes: seconds, and memory over what the same command needs for none.

    python -m benchmarks.audit_memory --frames 1000000

Starts its own broker and writes frames and outcomes without pictures and maps: an audit never looks at them.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from framefuse import broker
from framefuse.kafka import Admin, Producer
from framefuse.kafka.schema_topic import SchemaTopic
from framefuse.settings import KafkaSettings
from schemas.codec import encode
from schemas.topics import ALL, FRAMES, FUSED
from tests.parts.results import an_expired
from tests.unit.builders import a_frame

PARTITIONS = 4
_MEASURED = """
import json, resource, sys
from framefuse.audit.topics import audit
from framefuse.settings import KafkaSettings
books = audit(KafkaSettings(bootstrap=sys.argv[1], prefix=sys.argv[2]))
peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"balanced": books.balanced, "published": books.ledger.published, "peak_kib": peak_kib}))
"""


def fill(kafka: KafkaSettings, count: int) -> None:
    """As many frames, each with its outcome, over all partitions."""
    Admin(kafka).create_topics(ALL, partitions=PARTITIONS)
    SchemaTopic(kafka)
    producer = Producer(kafka)
    frame, outcome = a_frame(), an_expired(0)
    value = encode(frame)
    for number in range(count):
        offset, partition = divmod(number, PARTITIONS)
        place = replace(outcome.frame, partition=partition, offset=offset)
        ended = replace(outcome, sequence=offset, frame=place)
        producer.send(FRAMES.name(kafka.prefix), value, key=b"gate", partition=partition)
        producer.send(FUSED.name(kafka.prefix), encode(ended), key=b"gate", partition=partition)
        if number % 1000 == 0:
            producer.poll(0)
    producer.flush(120.0)


def measured(kafka: KafkaSettings) -> dict[str, float]:
    """One audit in a process of its own."""
    began_s = time.monotonic()
    command = [sys.executable, "-c", _MEASURED, str(kafka.bootstrap), kafka.prefix]
    told = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return {**told, "seconds": round(time.monotonic() - began_s, 1)}


def main() -> None:
    """Fill, audit, print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--frames", type=int, default=1_000_000)
    count = arguments.parse_args().frames
    with tempfile.TemporaryDirectory() as folder:
        running = broker.start(Path(folder) / "broker", port=0)
        try:
            nothing = KafkaSettings(bootstrap=running.bootstrap, prefix="nothing")
            many = KafkaSettings(bootstrap=running.bootstrap, prefix="many")
            fill(nothing, 0)
            fill(many, count)
            base, found = measured(nothing), measured(many)
        finally:
            broker.stop(Path(folder) / "broker", graceful=False)
    over_mib = (found["peak_kib"] - base["peak_kib"]) / 1024
    sys.stdout.write(json.dumps({**found, "over_the_base_mib": round(over_mib, 1)}) + "\n")


if __name__ == "__main__":
    main()
