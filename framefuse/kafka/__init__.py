"""Kafka, and the only place that imports confluent_kafka: what it offers is ours, typed and small."""

from framefuse.kafka.admin import Admin, GroupState, TopicState
from framefuse.kafka.connection import group_of, resolve_bootstrap
from framefuse.kafka.consumer import Assignment, GroupConsumer, Overtaken
from framefuse.kafka.group_offsets import GroupOffsets
from framefuse.kafka.messages import Delivery, Message
from framefuse.kafka.producer import BufferFull, Producer
from framefuse.kafka.reader import Reader
from framefuse.kafka.transactions import Fenced, Outgoing, TransactionalProducer, TransactionFailed

__all__ = [
    "Admin",
    "Assignment",
    "BufferFull",
    "Delivery",
    "Fenced",
    "GroupConsumer",
    "GroupOffsets",
    "GroupState",
    "Message",
    "Outgoing",
    "Overtaken",
    "Producer",
    "Reader",
    "TopicState",
    "TransactionFailed",
    "TransactionalProducer",
    "group_of",
    "resolve_bootstrap",
]
