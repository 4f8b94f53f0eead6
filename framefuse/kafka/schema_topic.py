"""The compacted topic of schemas: every writer announces its own, every reader finds the others'."""

import threading
from collections.abc import Callable
from typing import TypeVar

from framefuse.kafka import Producer, Reader
from framefuse.settings import KafkaSettings
from framefuse.types import Partition
from schemas.codec import SCHEMA_FILES, NotARecord, SchemaBook, decode, decode_of_any_age, schema_of
from schemas.topics import SCHEMAS

T = TypeVar("T")

_ACKNOWLEDGED_WITHIN_S = 10.0


class SchemaTopic:
    """What has been announced on one broker, kept in `book`. Safe for use by several threads."""

    def __init__(self, settings: KafkaSettings, *, announce: bool = True) -> None:
        """Read what is there and, for writers, announce what is not.

        Args:
            settings: where the broker is.
            announce: false for readers, who need no right to write.

        Raises:
            Stop: there is no such topic, or we may not read it, or not write what is missing in it.
            Retry: the broker does not answer.
        """
        self.book = SchemaBook()
        self._settings = settings
        self._topic = SCHEMAS.name(settings.prefix)
        self._lock = threading.Lock()
        self._ends: dict[Partition, int] = {}
        self._asking: Reader | None = None
        with self._reader() as reader:
            known = self._read(reader)
        if announce:
            self._announce(known)

    def refresh(self) -> None:
        """Learn what has been announced since; where nothing was, that costs one question to the broker.

        Many records can name an unknown schema, so the connection for it stays, once it was needed.
        """
        with self._lock:
            self._asking = self._asking or self._reader()
            self._read(self._asking)
            self._asking.assign({})

    def decoded(
        self,
        value: bytes | None,
        kind: type[T],
        *,
        by: Callable[[bytes | None, type[T], SchemaBook], T] = decode,
    ) -> T:
        """The record of type `kind` in a value, see `decode_of_any_age`; learns what is announced since.

        Raises:
            NotARecord: it is none, or nobody has announced its schema.
            Retry: the broker does not answer.
            Stop: there is no topic of schemas, or we may not read it.
        """
        return decode_of_any_age(value, kind, self.book, self.refresh, by=by)

    def _reader(self) -> Reader:
        return Reader(self._settings, client_id="framefuse-schemas")

    def _read(self, reader: Reader) -> set[bytes]:
        """Learn what is announced and not yet read; the fingerprints of it."""
        bounds = reader.bounds(self._topic)
        ends = {part: end for part, (_, end) in bounds.items()}
        if ends == self._ends:
            return set()
        known: set[bytes] = set()
        for message in reader.within(bounds):
            known.add(message.key or b"")
            self._learn(message.value)
        self._ends = ends
        return known

    def _learn(self, value: bytes | None) -> None:
        try:
            self.book.learn((value or b"").decode())
        except (NotARecord, UnicodeDecodeError):
            return  # not ours to judge: a record that needs it will say so

    def _announce(self, known: set[bytes]) -> None:
        missing = [schema for kind in SCHEMA_FILES if (schema := schema_of(kind)).fingerprint not in known]
        if not missing:
            return
        Producer(self._settings, client_id="framefuse-schemas").send_all(
            self._topic,
            [(schema.fingerprint, schema.text.encode()) for schema in missing],
            what="schemas",
            within_s=_ACKNOWLEDGED_WITHIN_S,
        )
