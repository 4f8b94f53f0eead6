"""The table of streams as rows: Faust keeps bytes and recovers them, what they say is decoded once."""

import logging
from collections.abc import Iterator
from typing import Any

from schemas.codec import NotARecord, SchemaBook, decode, encode
from schemas.statistics import StatisticsRow

log = logging.getLogger("framefuse.statistics")

FaustTable = Any
"""A table of Faust, which has no types to speak of: bytes by bytes."""


class Rows:
    """The rows of the streams whose events this worker reads, by the bytes of their stream id."""

    def __init__(self, table: FaustTable, book: SchemaBook) -> None:
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

    def items(self) -> Iterator[tuple[bytes, StatisticsRow]]:
        """All rows, also those of partitions that have become another worker's: Faust does not drop them."""
        keys = set(self._table.keys())
        for gone in self._decoded.keys() - keys:
            del self._decoded[gone]
        for key in sorted(keys):
            row = self[key]
            if row is not None:
                yield key, row
