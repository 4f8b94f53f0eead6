"""How far the broker's clock is from ours: a live frame's age is our now minus its append time.

No request of Kafka's protocol tells the time, so a schema of ours is announced once more in the compacted
topic of schemas, word for word as it is there: readers learn nothing new, compaction keeps one. The broker
dates the record and the acknowledgement brings the date, so the clocks differ by that date minus the middle
of the round trip, give or take half of it. Topics that hold frames or results are never written to.
"""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from framefuse.doctor.findings import Check, Finding, Scene, not_asked, ok, problem, warning
from framefuse.kafka import Admin, Delivery, Producer
from framefuse.settings import KafkaSettings
from schemas.codec import SCHEMA_FILES, schema_of
from schemas.topics import SCHEMAS

_SUBJECT = "clocks"
_FLUSH_S = 3.0
_PROBES = 3
_NOTABLE, _RUINOUS = timedelta(milliseconds=100), timedelta(milliseconds=400)
_MEND = "timedatectl set-ntp true"


def look(scene: Scene) -> Sequence[Finding]:
    """Measure, unless the topic does not take the broker's time."""
    topic = SCHEMAS.name(scene.kafka.prefix)
    states = Admin(scene.kafka).topic_states([topic])
    if not states:
        return [not_asked(_SUBJECT, f"no topic {topic}")]
    if states[0].config["message.timestamp.type"] != "LogAppendTime":
        text = f"{topic} is not dated by the broker, so its clock cannot be read"
        return [warning(_SUBJECT, text, f"framefuse topics mend{scene.flags}")]
    measured = measure(scene.kafka, topic)
    if measured is None:
        return [not_asked(_SUBJECT, f"{topic} took no record within {_FLUSH_S:g} s")]
    return [judge(*measured)]


def judge(ahead: timedelta, within: timedelta) -> Finding:
    """Whether live frames can have a right age.

    Args:
        ahead: of our clock, the broker's.
        within: what the measurement may be wrong by.
    """
    apart = max(timedelta(), abs(ahead) - within)
    way = "ahead of" if ahead > timedelta() else "behind"
    text = f"the broker's is {abs(ahead) / timedelta(milliseconds=1):,.0f} ms {way} ours"
    if apart >= _RUINOUS:
        return problem(_SUBJECT, f"{text}: live frames of 500 ms expire at once, or never", _MEND)
    if apart >= _NOTABLE:
        return warning(_SUBJECT, f"{text}: live frames expire too early, or too late", _MEND)
    return ok(_SUBJECT, f"the broker's and ours agree within {_ms(abs(ahead) + within)} ms")


def measure(
    kafka: KafkaSettings, topic: str, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> tuple[timedelta, timedelta] | None:
    """How far the broker's clock is ahead of ours, and within what; None when nothing was acknowledged."""
    producer = Producer(kafka, live=True, client_id="framefuse-doctor")
    schema = min(map(schema_of, SCHEMA_FILES), key=lambda one: len(one.text))
    answers: list[tuple[timedelta, timedelta]] = []
    for _ in range(_PROBES):  # the quickest is the best; the first also connects
        delivered: list[Delivery] = []
        sent, began_s = now(), time.monotonic()
        producer.send(topic, schema.text.encode(), key=schema.fingerprint, on_delivery=delivered.append)
        producer.flush(_FLUSH_S)
        half = timedelta(seconds=(time.monotonic() - began_s) / 2)
        if not delivered or delivered[0].error or delivered[0].timestamp is None:
            break
        # Kafka's times are whole milliseconds, rounded down.
        answers.append((delivered[0].timestamp + timedelta(milliseconds=0.5) - (sent + half), half))
    producer.close(0.1)
    return min(answers, key=lambda answer: answer[1], default=None)


def _ms(duration: timedelta) -> str:
    return f"{max(1.0, duration / timedelta(milliseconds=1)):,.0f}"


CHECK = Check(_SUBJECT, look, needs_broker=True, timeout_s=10.0)
