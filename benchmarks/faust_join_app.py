"""A worker of the join as one would write it on Faust; started by `benchmarks.faust_join`.

Everything is as Faust has it, but for what a fair comparison needs: time-outs of the group like ours, bytes
that we decode ourselves, and the very function that makes results in our join.
"""

import asyncio
import tempfile
from datetime import UTC, datetime
from typing import Any

import faust

from framefuse.kafka import Admin
from framefuse.settings import KafkaSettings, load
from processors.join.fuse import fuse
from schemas.codec import NotARecord, SchemaBook, decode, encode
from schemas.records import Depth, Derived, Detections
from schemas.topics import DEPTH, DETECTIONS, FUSED, Topic

GROUP, TABLE = "faust-join", "halves"
CHANGELOG: Topic[bytes] = Topic(
    f"{GROUP}-{TABLE}-changelog", bytes, {"cleanup.policy": "compact"}, per_frame=True
)
"""Under the name that Faust gives it."""
BOOK = SchemaBook()


def an_app(kafka: KafkaSettings, data_dir: str) -> faust.App:
    """Two agents and the table that they share."""
    partitions = Admin(kafka).partition_count(FUSED.name(kafka.prefix))
    app = faust.App(
        f"{kafka.prefix}.{GROUP}",
        broker=f"aiokafka://{kafka.bootstrap}",
        broker_session_timeout=6.0,
        broker_heartbeat_interval=1.5,
        consumer_auto_offset_reset="earliest",
        topic_allow_declare=False,
        topic_disable_leader=True,
        topic_partitions=partitions,
        store="memory://",
        datadir=data_dir,
        web_enabled=False,
    )
    typed: dict[str, Any] = {"key_type": bytes, "value_type": bytes}
    raw = typed | {"key_serializer": "raw", "value_serializer": "raw"}
    table = app.Table(TABLE, partitions=partitions, **typed)
    fused = app.topic(FUSED.name(kafka.prefix), **raw)

    async def join(stream: Any) -> None:  # noqa: ANN401 - Faust has no types to speak of
        async for event in stream.events():
            message = event.message
            half = half_of(message.value)
            key = f"{half.frame.partition}/{half.frame.offset}".encode()
            waiting = table.get(key)
            if waiting is None:
                table[key] = message.value
                continue
            other = half_of(waiting)
            table.pop(key)
            halves = (half, other) if isinstance(half, Detections) else (other, half)
            result = fuse(half, *halves, absent={}, fused_at=datetime.now(UTC))  # type: ignore[arg-type]
            await fused.send(key=message.key, value=encode(result), partition=half.frame.partition)

    for source in (DETECTIONS, DEPTH):
        app.agent(app.topic(source.name(kafka.prefix), **raw), name=source.suffix)(join)
    return app


def half_of(value: bytes) -> Derived:
    """The record of one side, whichever."""
    try:
        return decode(value, Detections, BOOK)
    except NotARecord:
        return decode(value, Depth, BOOK)


async def live(app: faust.App) -> None:
    """Until killed."""
    await app.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(live(an_app(load(KafkaSettings), folder)))
