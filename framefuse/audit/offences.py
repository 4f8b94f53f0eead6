"""What can be wrong in the books, and by whom. Pure."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

OFFENDERS_NAMED = 20


class Offence(StrEnum):
    """What can be wrong with the outcome of a frame."""

    MISSING = "missing"
    """A later frame of its partition has an outcome, this one has none."""
    DUPLICATED = "duplicated"
    """It has an outcome already."""
    OUT_OF_ORDER = "out of order"
    """A later frame had its outcome before."""
    UNKNOWN_FRAME = "unknown frame"
    """The outcome of a frame that the topic of frames has never had there."""
    UNREADABLE = "unreadable"
    """A record of `fused` that cannot be decoded."""
    HALF_LEFT_OUT = "half left out"
    """PARTIAL, although both halves are in their topics and nobody was in a hurry."""
    NOT_STORED = "not in the store"
    """The store has later frames of its partition, but not this one."""
    STORED_TWICE = "in the store twice"
    """The store has a second row of the frame."""
    STORED_DIFFERENTLY = "another in the store"
    """The store's row of the frame says something else than `fused`."""
    ONLY_STORED = "in the store only"
    """The store has a frame that `fused` passes over."""


class Place(NamedTuple):
    """Partition and offset of a frame."""

    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Offender:
    """One thing that is wrong, by name."""

    offence: Offence
    place: Place
    """Of the frame; of the record itself where that is unreadable."""
    fused_offset: int | None = None
    """Of the offending record; None where there is none."""
    stream_id: str | None = None
    """None where it cannot be known."""
    sequence: int | None = None
