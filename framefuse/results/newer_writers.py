"""Decodes what others write while they are upgraded: a schema may have been announced since we looked."""

from collections.abc import Callable
from typing import TypeVar

from framefuse.kafka.schema_topic import SchemaTopic
from schemas.codec import SchemaBook, UnknownSchema, decode

T = TypeVar("T")


def decoded(
    value: bytes | None,
    kind: type[T],
    schemas: SchemaTopic,
    *,
    by: Callable[[bytes | None, type[T], SchemaBook], T] = decode,
) -> T:
    """The record of type `kind` in a value; asks the broker where its schema is unknown.

    Args:
        value: of a Kafka record.
        kind: the record type, or its head.
        schemas: what was announced so far; learns what has been since.
        by: `decode`, or `decode_head` where the head is enough.

    Raises:
        NotARecord: it is none, or nobody has announced its schema.
        Retry: the broker does not answer.
        Stop: there is no topic of schemas, or we may not read it.
    """
    try:
        return by(value, kind, schemas.book)
    except UnknownSchema:
        schemas.refresh()
        return by(value, kind, schemas.book)
