"""Frames of one pipeline again, for another with a better model: `again.py localhost:9092 framefuse better`.

Copies what `framefuse.frames` holds now to `better.frames`, in order, each with its ids, its run and times;
live ones as those of a file, for they are too old. 'framefuse topics create --prefix better' comes before.
"""

import sys
from dataclasses import replace

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, Producer, TopicPartition

from schemas.codec import NotARecord, SchemaBook, decode, encode
from schemas.records import Frame

broker, source, target = sys.argv[1:]
consumer = Consumer(
    {
        "bootstrap.servers": broker,
        "group.id": "again",  # for a principal with ACLs: READ on it; nothing is committed
        "enable.auto.commit": False,
        "enable.partition.eof": True,
    }
)
producer = Producer(
    {
        "bootstrap.servers": broker,
        "enable.idempotence": True,
        "partitioner": "murmur2_random",
        "message.max.bytes": 8 << 20,
    }
)


def delivered(error: KafkaError | None, _: Message) -> None:
    """Stop at the first frame that is refused: a hole would be a lost frame."""
    if error:
        sys.exit(f"{target}.frames: {error}")


topic, copied, book = f"{source}.frames", 0, SchemaBook()
for number in consumer.list_topics(topic, timeout=10).topics[topic].partitions:
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING)])
    while True:
        message = consumer.poll(30)
        if message is None:
            sys.exit(f"{topic} does not answer")
        error = message.error()
        if error and error.code() == KafkaError._PARTITION_EOF:
            break
        if error:
            sys.exit(f"{topic}: {error}")
        try:
            frame = decode(message.value(), Frame, book)
        except NotARecord:
            continue  # a dead letter over there, too
        as_of_a_file = encode(replace(frame, live=False, freshness_ms=None, attempt=0))
        producer.produce(f"{target}.frames", as_of_a_file, message.key(), on_delivery=delivered)
        copied += 1
        if copied % 100 == 0:
            producer.flush()
producer.flush()
print(f"{copied} frames copied")
