"""What a check is, and what it says: the words that all subjects share. Asks nothing itself."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from framefuse.settings import KafkaSettings, flags_of


class Status(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    """It works, and something is not as it should be."""
    PROBLEM = "problem"
    """Something does not work, or will not."""
    NOT_ASKED = "not asked"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    subject: str
    status: Status
    found: str
    """What was found and, where that is not well, what was expected."""
    mend: str = ""
    """The command or setting that mends it; empty only where nothing needs mending."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Where to look."""

    kafka: KafkaSettings
    bootstrap: str | None
    """The broker's address; None where none is set and none runs here."""

    @property
    def flags(self) -> str:
        """What a command that mends must be told to come to the same topics, each after a space."""
        return flags_of(self.kafka)


@dataclass(frozen=True, slots=True)
class Check:
    """One subject. Other packages bring theirs by the entry-point group `framefuse.checks`."""

    subject: str
    look: Callable[[Scene], Sequence[Finding]]
    """May raise any FramefuseError: its message is the finding then."""
    needs_broker: bool = False
    timeout_s: float = 5.0


def ok(subject: str, found: str) -> Finding:
    """All is well."""
    return Finding(subject, Status.OK, found)


def warning(subject: str, found: str, mend: str) -> Finding:
    """It works, but."""
    return Finding(subject, Status.WARNING, found, mend)


def problem(subject: str, found: str, mend: str) -> Finding:
    """It does not work."""
    return Finding(subject, Status.PROBLEM, found, mend)


def not_asked(subject: str, why: str) -> Finding:
    """It could not be looked at, for a reason that has a line of its own."""
    return Finding(subject, Status.NOT_ASKED, why)
