"""The compacted topic of schemas: every writer announces its own, every reader finds the others'."""

import threading
import time

from framefuse.errors import Retry, Stop
from framefuse.kafka import Delivery, Producer, Reader
from framefuse.settings import KafkaSettings
from schemas.codec import SCHEMA_FILES, NotARecord, SchemaBook, schema_of
from schemas.topics import SCHEMAS

_REFRESH_INTERVAL_S = 2.0


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
        known = self._read()
        if announce:
            self._announce(known)
        self._read_s = time.monotonic()

    def refresh(self) -> None:
        """Read the topic again, at most every two seconds: many records can name an unknown schema."""
        with self._lock:
            if time.monotonic() - self._read_s >= _REFRESH_INTERVAL_S:
                self._read()
                self._read_s = time.monotonic()

    def _read(self) -> set[bytes]:
        """Learn all announced schemas; their fingerprints."""
        known: set[bytes] = set()
        with Reader(self._settings, client_id="framefuse-schemas") as reader:
            for message in reader.everything(self._topic):
                known.add(message.key or b"")
                self._learn(message.value)
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
        producer, delivered = Producer(self._settings, client_id="framefuse-schemas"), list[Delivery]()
        for schema in missing:
            value = schema.text.encode()
            producer.send(self._topic, value, key=schema.fingerprint, on_delivery=delivered.append)
        producer.close()
        if refused := [delivery.error for delivery in delivered if delivery.error is not None]:
            raise Stop(f"{len(refused)} schemas could not be announced: {refused[0]}")
        if len(delivered) < len(missing):
            raise Retry(f"{self._topic}: the broker did not take our schemas in 10 s")
