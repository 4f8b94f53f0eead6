"""Any record of any topic, with nothing of framefuse: `read_fused.py localhost:9092 [framefuse.fused]`.

Commits no offset. Its principal, where there are ACLs: READ on both topics and on the group `reader`.

Every value is C3 01, the 8 bytes of its schema's fingerprint, then Avro; the compacted topic of schemas has
each schema under its fingerprint.
"""

import io
import json
import sys
from collections.abc import Iterator

import fastavro
from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition

broker, topic = (*sys.argv[1:], "framefuse.fused")[:2]
consumer = Consumer(
    {
        "bootstrap.servers": broker,
        "group.id": "reader",
        "enable.auto.commit": False,
        "isolation.level": "read_committed",
    }
)


def messages(topic: str) -> Iterator[Message]:
    """All there is in a topic, from its start until nothing came for five seconds."""
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in partitions])
    while (message := consumer.poll(5)) is not None:  # one without a value is false
        if message.error():
            raise SystemExit(message.error())
        yield message


schemas = {}
for message in messages(f"{topic.rpartition('.')[0]}.schemas"):
    try:
        schemas[message.key()] = fastavro.parse_schema(json.loads(message.value() or b""))
    except (
        ValueError,
        TypeError,
        LookupError,
        fastavro.schema.SchemaParseException,
    ) as error:  # of a stranger
        print(f"{message.topic()} offset {message.offset()} is no schema: {error}", file=sys.stderr)
for message in messages(topic):
    value = message.value() or b""
    record = fastavro.schemaless_reader(io.BytesIO(value[10:]), schemas[value[2:10]], None)
    print(json.dumps(record, default=lambda odd: f"{len(odd)} bytes" if isinstance(odd, bytes) else str(odd)))
