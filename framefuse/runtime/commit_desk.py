"""Where the thread that writes has commits made by the one that polls: the client hangs if another does."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from framefuse.runtime.flight import Flight
from framefuse.types import Partition


@dataclass(slots=True)
class _Commit:
    """A commit that is asked for."""

    offsets: Mapping[Partition, int]
    done: bool = False
    error: Exception | None = None


class CommitDesk:
    """Takes one commit at a time. Whoever asked is answered as long as somebody serves."""

    def __init__(self, flight: Flight) -> None:
        """Wake the threads of this flight."""
        self._flight = flight
        self._asked: _Commit | None = None

    @property
    def waited_for(self) -> bool:
        """Whether somebody waits for a commit."""
        return self._asked is not None

    def ask(self, offsets: Mapping[Partition, int]) -> None:
        """Have these offsets committed, and wait for it.

        Raises:
            Exception: whatever the commit raised.
        """
        asked = self._asked = _Commit(offsets)
        self._flight.announce()
        self._flight.wait_for(lambda: asked.done)
        if asked.error is not None:
            raise asked.error

    def serve(self, commit: Callable[[Mapping[Partition, int]], None]) -> None:
        """Make the commit that is asked for, if any; what it raises goes to whoever asked."""
        asked = self._asked
        if asked is None:
            return
        try:
            commit(asked.offsets)
        except Exception as error:
            asked.error = error
        self._asked = None  # before it is done: whoever is told may ask again at once
        asked.done = True
        self._flight.announce()
