"""The table of streams as rows: Faust keeps bytes and recovers them, what they say is decoded once."""

import asyncio
import logging
from collections.abc import Awaitable, Iterator
from typing import Any

from faust.tables.table import Table

from schemas.codec import NotARecord, SchemaBook, decode, encode
from schemas.statistics import StatisticsRow

log = logging.getLogger("framefuse.statistics")


class SavedTable(Table[bytes, bytes]):
    """A table of Faust, bytes by bytes, that knows which of its changes the broker may not have yet."""

    def __init__(self, *parts: Any, **named: Any) -> None:
        super().__init__(*parts, **named)
        self.changes: list[Awaitable[object]] = []

    def send_changelog(self, *parts: Any, **named: Any) -> Any:  # noqa: ANN401
        """Called by every change."""
        change = super().send_changelog(*parts, **named)
        self.changes.append(change)
        return change


class Rows:
    """The rows of the streams whose events this worker reads, by the bytes of their stream id."""

    def __init__(self, table: SavedTable, book: SchemaBook) -> None:
        self._table, self._book = table, book
        self._decoded: dict[bytes, tuple[bytes, StatisticsRow]] = {}

    def __getitem__(self, key: bytes) -> StatisticsRow | None:
        """The row of a stream; None where there is none, or one that cannot be read."""
        value = self._table.get(key)
        if value is None:
            self._decoded.pop(key, None)
            return None
        known = self._decoded.get(key)
        if known is not None and known[0] is value:
            return known[1]
        try:
            row = decode(value, StatisticsRow, self._book)
        except NotARecord as error:
            log.warning("the statistics of %r begin anew: %s", key, error)
            return None
        self._decoded[key] = (value, row)
        return row

    def __setitem__(self, key: bytes, row: StatisticsRow) -> None:
        value = encode(row)
        self._table[key] = value
        self._decoded[key] = (value, row)

    def __delitem__(self, key: bytes) -> None:
        self._table.pop(key, None)
        self._decoded.pop(key, None)

    async def saved(self) -> None:
        """Wait until the broker has all changes that were made before.

        Raises:
            Exception: it did not take one.
        """
        changes, self._table.changes = self._table.changes, []
        await asyncio.gather(*changes)

    def items(self) -> Iterator[tuple[bytes, StatisticsRow]]:
        """All rows, also those of partitions that have become another worker's: Faust does not drop them."""
        keys = set(self._table.keys())
        for gone in self._decoded.keys() - keys:
            del self._decoded[gone]
        for key in sorted(keys):
            row = self[key]
            if row is not None:
                yield key, row
