"""Whether a topic's setting fits: the one judgement that `doctor` tells and `topics mend` follows."""

_AT_LEAST = frozenset({"max.message.bytes", "retention.ms", "retention.bytes"})
"""Whoever keeps more, or takes larger records, has set that on purpose; -1 is without end."""
_AT_MOST = frozenset({"segment.ms", "segment.bytes", "min.cleanable.dirty.ratio"})
"""How long old records of a key may stay uncompacted."""


def fits(name: str, found: str, wanted: str) -> bool:
    """Whether what the broker has does for us; a user's longer retention or larger limit always does."""
    if name in _AT_LEAST:
        return int(found) < 0 or 0 <= int(wanted) <= int(found)
    if name in _AT_MOST:
        return float(found) <= float(wanted)
    return found == wanted
