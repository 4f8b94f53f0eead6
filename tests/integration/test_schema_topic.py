"""The topic of schemas on the real broker: what others announce is known when their first record comes."""

import json

import pytest

from framefuse.broker.home import RunningBroker
from framefuse.kafka import Producer
from framefuse.kafka.schema_topic import SchemaTopic
from schemas.codec import RecordSchema, UnknownSchema, decode, encode, schema_of
from schemas.records import Frame
from schemas.topics import SCHEMAS
from tests.parts.later_schemas import grown, written_with
from tests.parts.logs import Logs
from tests.unit.builders import a_frame

pytestmark = pytest.mark.broker


def announce(logs: Logs, schema: RecordSchema) -> None:
    producer = Producer(logs.kafka)
    producer.send(SCHEMAS.name(logs.kafka.prefix), schema.text.encode(), key=schema.fingerprint)
    assert producer.flush(20) == 0


def test_a_schema_is_known_as_soon_as_it_is_announced(broker: RunningBroker, topic_prefix: str) -> None:
    """Also right after somebody looked for another one in vain, and with records that name none."""
    with Logs(broker.bootstrap, topic_prefix) as logs:
        topic, frame = SchemaTopic(logs.kafka, announce=False), a_frame("gate", 1)
        for name in ("first", "second"):
            schema = grown(Frame, name, "int", 0)
            value = written_with(schema, frame)
            topic.refresh()
            with pytest.raises(UnknownSchema):
                decode(value, Frame, topic.book)
            announce(logs, schema)
            topic.refresh()
            assert decode(value, Frame, topic.book) == frame


def test_what_is_no_schema_keeps_nobody_from_starting(broker: RunningBroker, topic_prefix: str) -> None:
    """The topic is compacted: what is in it is read at every start."""
    sized = json.loads(schema_of(Frame).text)
    sized["fields"].append({"name": "more", "type": {"type": "fixed", "name": "F", "size": None}})
    with Logs(broker.bootstrap, topic_prefix) as logs:
        producer = Producer(logs.kafka)
        for value in (b"", b"\xff", b"{", json.dumps(sized).encode()):
            producer.send(SCHEMAS.name(topic_prefix), value, key=value)
        assert producer.flush(20) == 0

        topic = SchemaTopic(logs.kafka, announce=False)

        assert decode(encode(a_frame()), Frame, topic.book) == a_frame()
