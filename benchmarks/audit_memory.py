"""What an audit of many frames takes: seconds, and memory over what the same command needs for none.

    python -m benchmarks.audit_memory --frames 1000000
    python -m benchmarks.audit_memory --frames 1000000 --outcome late
    python -m benchmarks.audit_memory --frames 1000000 --in-flight 1000000 --stream gate

Starts its own broker and writes frames and outcomes without pictures and maps: an audit never looks at them.
`late` frames are the dearest: each may have a dead letter and a half that came after all.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.site import PARTITIONS, a_broker, parser_of, print_measured
from framefuse.kafka import Admin, Producer
from framefuse.kafka.schema_topic import SchemaTopic
from framefuse.settings import KafkaSettings
from schemas.codec import encode
from schemas.records import Fused, Missing, Outcome, Side
from schemas.topics import ALL, FRAMES, FUSED
from tests.parts.results import an_expired
from tests.unit.builders import a_frame

_MEASURED = """
import json, sys
from pathlib import Path
from framefuse.audit.topics import Scope, audit
from framefuse.settings import KafkaSettings
bootstrap, prefix, stream = sys.argv[1:]
books = audit(KafkaSettings(bootstrap=bootstrap, prefix=prefix), Scope(stream or None))
# Not that of getrusage, which begins with what the parent had.
(peak_kib,) = [int(line.split()[1]) for line in Path("/proc/self/status").open() if line.startswith("VmHWM")]
print(json.dumps({"balanced": books.balanced, "published": books.ledger.published, "peak_kib": peak_kib}))
"""


def ended(outcome: str) -> Fused:
    """A frame that ended so, as a pattern for all."""
    if outcome == "expired":
        return an_expired(0)
    missing = (Missing(Side.DEPTH, "late: timed out"),)
    return replace(an_expired(0), live=True, outcome=Outcome.PARTIAL, missing=missing)


def fill(kafka: KafkaSettings, count: int, in_flight: int, pattern: Fused) -> None:
    """Frames over all partitions, each but those in flight with its outcome."""
    producer = Producer(kafka)
    value = encode(a_frame())
    for number in range(count + in_flight):
        offset, partition = divmod(number, PARTITIONS)
        producer.send(FRAMES.name(kafka.prefix), value, key=b"gate", partition=partition)
        if number < count:
            place = replace(pattern.frame, partition=partition, offset=offset)
            fused = replace(pattern, frame_id=f"{number:032x}", sequence=offset, frame=place)
            producer.send(FUSED.name(kafka.prefix), encode(fused), key=b"gate", partition=partition)
        if number % 1000 == 0:
            producer.poll(0)
    producer.flush(120.0)


def measured(kafka: KafkaSettings, stream: str) -> dict[str, float]:
    """One audit in a process of its own."""
    began_s = time.monotonic()
    command = [sys.executable, "-c", _MEASURED, str(kafka.bootstrap), kafka.prefix, stream]
    told = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return {**told, "seconds": round(time.monotonic() - began_s, 1)}


def measure(arguments: argparse.Namespace, folder: Path) -> Mapping[str, Any]:
    """Fill, audit nothing, audit everything."""
    with a_broker(folder) as nothing:
        many = KafkaSettings(bootstrap=nothing.bootstrap, prefix="many")
        Admin(many).create_topics(ALL, partitions=PARTITIONS)
        SchemaTopic(many)
        fill(many, arguments.frames, arguments.in_flight, ended(arguments.outcome))
        base, found = measured(nothing, arguments.stream), measured(many, arguments.stream)
    return {**found, "over_the_base_mib": round((found["peak_kib"] - base["peak_kib"]) / 1024, 1)}


def main() -> None:
    """Measure and print one JSON object."""
    parser = parser_of(__doc__)
    parser.add_argument("--frames", type=int, default=1_000_000, help="with an outcome")
    parser.add_argument("--in-flight", type=int, default=0, help="more frames, without one")
    parser.add_argument("--outcome", choices=["expired", "late"], default="expired")
    parser.add_argument("--stream", default="", help="audit this stream only; all are of 'gate'")
    print_measured(measure, parser.parse_args())


if __name__ == "__main__":
    main()
