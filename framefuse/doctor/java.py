"""A Java for the embedded broker, and the jars it runs from."""

from collections.abc import Sequence

from framefuse.broker import LOCK
from framefuse.broker.jars import Lock, default_cache
from framefuse.broker.java import OLDEST_VERSION, find_java
from framefuse.doctor.findings import Check, Finding, Scene, ok, problem, warning
from framefuse.errors import Stop

_SUBJECT = "Java"


def look(scene: Scene) -> Sequence[Finding]:
    """Only the broker of this machine needs Java: with another one it is no matter."""
    elsewhere = scene.kafka.bootstrap is not None
    try:
        java = find_java()
    except Stop as error:
        if elsewhere:
            return [ok(_SUBJECT, "none, and none is needed: the broker was set with FRAMEFUSE_BOOTSTRAP")]
        text, _, mend = str(error).partition(": install one, or run ")
        return [problem(_SUBJECT, text, mend)]
    found = ok(_SUBJECT, f"{java}, {OLDEST_VERSION} or newer")
    return [found] if elsewhere else [found, _jars()]


def _jars() -> Finding:
    """Sizes only: `broker up` checks every byte."""
    jars, cache = Lock.parse(LOCK.read_text("utf-8")).jars, default_cache()
    missing = [jar for jar in jars if not (cache / jar.coordinate.path).is_file()]
    if not missing:
        return ok("Kafka's jars", f"all {len(jars)} in {cache}")
    size_mb = sum(jar.size_bytes for jar in missing) / 1e6
    text = f"{len(missing)} of {len(jars)} not in {cache} yet: the first start fetches {size_mb:.0f} MB"
    return warning("Kafka's jars", text, "framefuse broker up")


CHECK = Check(_SUBJECT, look, timeout_s=10.0)
