"""What is committed beside an offset: of which `frames` it tells, and a note of the worker's own.

All derived topics speak of frames by their offsets. A `frames` that was deleted and made anew has the same
name, another id, and other pictures at the same offsets: what the derived topics say is no longer about them.
Kafka forgets the positions in a deleted topic itself, so the positions in the others are what remembers.
"""

from framefuse.errors import Stop

_BETWEEN = "/"  # neither in ids, which are base64url, nor in our notes


def metadata_for(note: str, series: str | None) -> str:
    """The text committed with an offset; `series` is the id of the topic `frames`."""
    return note if series is None else f"{series}{_BETWEEN}{note}"


def read_metadata(text: str | None) -> tuple[str | None, str]:
    """The id of `frames`, if it was committed, and the note."""
    series, between, note = (text or "").partition(_BETWEEN)
    return (series, note) if between else (None, series)


def made_anew(topic: str, why: str) -> Stop:
    """The error to raise when a topic is not the one that others tell of."""
    return Stop(
        f"the topic {topic} was made anew ({why}), and the others still tell of the old one: use another "
        f"--prefix, or make all topics anew and delete their groups ('kafka-consumer-groups.sh --delete')"
    )
