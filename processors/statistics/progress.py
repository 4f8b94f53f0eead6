"""How far each partition is done, whatever lies between its records. Pure.

Faust commits one unbroken run of offsets a second. The marker that ends each transaction takes an offset,
too: in a topic that transactions write, it fell behind by what a second brings more, and kept all of that.
"""

from collections.abc import Iterable


class Progress:
    """One partition: what has been fetched of it and is not done, and up to where it has been fetched."""

    def __init__(self) -> None:
        self._waiting: dict[int, None] = {}
        self._reached: int | None = None

    def fetched(self, offsets: Iterable[int], reached: int) -> None:
        """More was fetched.

        Args:
            offsets: of the records, ascending, and beyond all that were fetched before.
            reached: the next offset to fetch: whatever else is before it is no record.
        """
        self._waiting.update(dict.fromkeys(offsets))
        self._reached = reached

    def done(self, offset: int) -> None:
        """A record need not be read again; in any order, and more than once."""
        self._waiting.pop(offset, None)

    @property
    def position(self) -> int | None:
        """Where to read on after a crash; None before anything is known."""
        return next(iter(self._waiting), self._reached)

    def __len__(self) -> int:
        """Records that are not done."""
        return len(self._waiting)
