"""What every far place offers: names, and the bytes of one of them. Errors say whether waiting may help."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from framefuse.errors import ModelUnusable


class Unreachable(ModelUnusable):
    """The place does not answer, or not as it should; what is in the cache may serve."""


class NotThere(ModelUnusable):
    """The place has no such file, or none that we may see: many stores say the one and mean the other."""


class TooLarge(ModelUnusable):
    """More bytes than the user wants to fetch."""


@dataclass(frozen=True, slots=True)
class Download:
    """A file that is coming in."""

    version: str | None
    """What the place calls this state of the file (its ETag); None where it calls it nothing."""
    size_bytes: int | None
    """None where the place does not tell."""
    chunks: Iterator[bytes]


@dataclass(frozen=True, slots=True)
class Transfer:
    """How patient a transfer is."""

    connect_s: float = 10.0
    silence_s: float = 60.0
    """Without a byte."""
    attempts: int = 3


class Remote(Protocol):
    """A folder far away."""

    @property
    def shown(self) -> str:
        """The address without secrets."""

    def names(self) -> Sequence[str]:
        """All files, with `/`, relative to the folder.

        Raises:
            Unreachable: not now.
            ModelUnusable: never, until somebody mends what the message says.
        """

    def open(self, name: str, *, unless: str | None = None) -> Download | None:
        """Begin to fetch a file; None when it is still of the version `unless`.

        Raises:
            NotThere: it has no such file, or we may not see it.
            Unreachable, ModelUnusable: as `names`.
        """
