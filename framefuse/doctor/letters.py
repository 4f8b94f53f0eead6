"""The dead letters that are open: records that nobody has sent again or dismissed."""

from collections.abc import Sequence

from framefuse.dead_letters.reading import DeadLetterTopic
from framefuse.doctor.findings import Check, Finding, Scene, not_asked, ok, warning
from framefuse.errors import Stop

_SUBJECT = "dead letters"
_LIST = "framefuse dead-letters list"
_MOST_READ = 2_000
"""Letters hold whole pictures: more than these are not read, only counted."""


def look(scene: Scene) -> Sequence[Finding]:
    """Read them, unless they are many."""
    try:
        topic = DeadLetterTopic(scene.kafka)
    except Stop:
        return [not_asked(_SUBJECT, "no topics")]
    with topic as letters:
        kept = letters.kept()
        if kept > _MOST_READ:
            return [
                warning(
                    _SUBJECT, f"about {kept:,} are kept, too many to look at each here", _LIST + scene.flags
                )
            ]
        return [judge(sum(case.open for case in letters.cases()), scene.flags)]


def judge(cases: int, flags: str = "") -> Finding:
    """Whether any is open."""
    if not cases:
        return ok(_SUBJECT, "none is open")
    text = "1 is open: its record was" if cases == 1 else f"{cases:,} are open: their records were"
    return warning(_SUBJECT, f"{text} given up on", _LIST + flags)


CHECK = Check(_SUBJECT, look, needs_broker=True, timeout_s=20.0)
