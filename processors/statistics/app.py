"""The Faust app of the stage: two agents, one table, one timer; and the settings that keep it harmless.

`read` makes events of results, keyed by their stream, so that a stream is one row wherever its frames are.
`count` adds events to the row. The timer tells what is new. Faust hands over bytes: a value that it cannot
decode itself would end the app.
"""

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import faust

from framefuse.errors import Stop, UndecodableRecord
from framefuse.kafka import Admin, group_of, resolve_bootstrap
from framefuse.kafka.connection import resolve_security
from framefuse.kafka.schema_topic import SchemaTopic
from framefuse.kafka.security import Security
from framefuse.settings import KafkaSettings
from processors.statistics.board import Board
from processors.statistics.counting import counted
from processors.statistics.figures import STREAM_BUFFER_RECORDS, Figures
from processors.statistics.intake import STAGE_NAME, WAITING_RECORDS, Intake, Refused
from processors.statistics.reading import SteadyConsumer
from processors.statistics.stage import StatisticsSettings
from processors.statistics.table import Rows, SavedTable
from schemas.codec import decode, encode
from schemas.statistics import StatisticsEvent, StatisticsRow
from schemas.topics import FUSED, STATISTICS, STATISTICS_EVENTS, STATISTICS_ROWS

log = logging.getLogger("framefuse.statistics")
TABLE = STATISTICS_ROWS.suffix.removeprefix(f"{STAGE_NAME}-").removesuffix("-changelog")
MOVE_EVERY_S, TELL_EVERY_S = 0.25, 1.0
_FETCH_BYTES = 1 << 20
"""A partition and request; a record that is larger comes alone."""
_MESSAGE_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class Names:
    """What the app is called on the broker."""

    group: str
    fused: str
    events: str
    statistics: str
    partitions: int
    """Of the events and the changelog."""


def names(kafka: KafkaSettings) -> Names:
    """The topics of the stage, which `framefuse topics create` makes.

    Raises:
        Stop: one is missing, or events and changelog have not the same number of partitions.
    """
    admin = Admin(kafka)
    for topic in (FUSED, STATISTICS):
        admin.partition_count(topic.name(kafka.prefix))
    events, rows = STATISTICS_EVENTS.name(kafka.prefix), STATISTICS_ROWS.name(kafka.prefix)
    partitions, of_rows = admin.partition_count(events), admin.partition_count(rows)
    if partitions != of_rows:
        raise Stop(
            f"{rows} has {of_rows} partitions, {events} has {partitions}: a stream must be on one number in "
            "both, so delete both and run 'framefuse topics create'; the statistics begin anew"
        )
    return Names(
        group=group_of(kafka, STAGE_NAME),
        fused=FUSED.name(kafka.prefix),
        events=events,
        statistics=STATISTICS.name(kafka.prefix),
        partitions=partitions,
    )


def make_app(kafka: KafkaSettings, client_id: str, called: Names, data_dir: Path) -> faust.App:
    """A Faust app that opens no port, makes no topic and keeps few records in memory."""
    brokers = [f"aiokafka://{address.strip()}" for address in resolve_bootstrap(kafka).split(",")]
    app = faust.App(
        called.group,
        broker=brokers,
        broker_client_id=client_id,
        broker_credentials=credentials(resolve_security(kafka)),
        broker_session_timeout=6.0,
        broker_heartbeat_interval=1.5,
        broker_commit_interval=1.0,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=_FETCH_BYTES,
        producer_acks=-1,
        producer_max_request_size=_MESSAGE_BYTES,
        stream_buffer_maxsize=STREAM_BUFFER_RECORDS,
        table_standby_replicas=0,
        topic_allow_declare=False,
        topic_disable_leader=True,
        topic_partitions=called.partitions,
        store="memory://",
        Table=SavedTable,
        datadir=data_dir,
        web_enabled=False,
        autodiscover=False,
    )
    transport: Any = app.transport
    transport.Consumer = SteadyConsumer
    return app


def credentials(security: Security) -> Any:  # noqa: ANN401 - one of Faust's own classes, or None
    """Who we are to the broker, in Faust's words.

    Raises:
        Stop: a mechanism that Faust is not given here.
        BadInput: a certificate is not what it should be.
    """
    context = security.ssl_context()
    if security.mechanism == "OAUTHBEARER":
        raise Stop("the stage statistics knows no OAUTHBEARER: give it SCRAM, PLAIN or a certificate")
    if security.mechanism is not None:
        return faust.SASLCredentials(
            username=security.username,
            password=security.password,
            ssl_context=context,
            mechanism=security.mechanism,
        )
    return None if context is None else faust.SSLCredentials(context)


class StatisticsApp:
    """The agents, the table and the timers of one life of the app."""

    def __init__(
        self,
        app: faust.App,
        called: Names,
        settings: StatisticsSettings,
        schemas: SchemaTopic,
    ) -> None:
        """Make them; nothing runs yet.

        Args:
            app: that they are of.
            called: its topics.
            settings: of the stage.
            schemas: of the records that are read.
        """
        self.app = app
        typed: dict[str, Any] = {"key_type": bytes, "value_type": bytes}
        raw = typed | {"key_serializer": "raw", "value_serializer": "raw"}
        self._called, self._schemas = called, schemas
        self._events = app.topic(called.events, partitions=called.partitions, **raw)
        self._statistics = app.topic(called.statistics, **raw)
        table = app.Table(TABLE, partitions=called.partitions, **typed)
        self._rows = Rows(cast(SavedTable, table), schemas.book)
        self._counted: list[Any] = []
        self._board = Board(
            quiet_after=timedelta(seconds=settings.quiet_after_s),
            forget_after=timedelta(hours=settings.forget_after_h),
        )
        self._refused = Refused()
        self._figures = Figures(app, app.conf.broker_client_id)
        self._intake = Intake(self._events, self._acknowledge, schemas.book, schemas.refresh)
        app.agent(app.topic(called.fused, **raw), name="read")(self._read)
        app.agent(self._events, name="count")(self._count)
        app.timer(TELL_EVERY_S, name="tell")(self._tell)

    def at_work(self) -> bool:
        """Whether it does its work just now; for an app that has been started."""
        self._figures.look()
        return self._figures.at_work()

    @property
    def known_to_group(self) -> bool:
        """Whether a broker answers for its group; for an app that has been started."""
        return cast(SteadyConsumer, self.app.consumer).known_to_group

    async def move_on(self) -> None:
        """Send on what has been read and save what has been counted, a few times a second, until cancelled.

        No timer of Faust: those end when the app begins to stop, and its end waits for what it has in hand.

        Raises:
            Exception: the broker did not take it.
        """
        while True:
            await asyncio.sleep(MOVE_EVERY_S)
            await self._intake.send()
            await self._save()

    async def _read(self, stream: Any) -> None:  # noqa: ANN401
        async for event in stream.noack().events():
            await self._intake.take(event.message)

    async def _count(self, stream: Any) -> None:  # noqa: ANN401
        async for event in stream.noack().events():
            message = event.message
            before = self._rows[message.key]
            if message.value is not None:
                after = self._after(before, message)
                if after is not None and after is not before:
                    self._rows[message.key] = after
            elif before is not None and self._board.forgettable(before, datetime.now(UTC)):
                del self._rows[message.key]
            self._counted.append(message)
            if len(self._counted) >= WAITING_RECORDS:
                await self._save()

    async def _save(self) -> None:
        """Acknowledge events once the broker has the rows that they changed.

        Faust by itself commits the events first; a worker that is killed between the two would lose them.
        """
        counted, self._counted = self._counted, []
        await self._rows.saved()
        for message in counted:
            self._acknowledge(message)

    def _after(self, before: StatisticsRow | None, message: Any) -> StatisticsRow | None:  # noqa: ANN401
        try:
            event = decode(message.value, StatisticsEvent, self._schemas.book)
            if event.stream_id.encode() != message.key:
                raise UndecodableRecord(f"an event of {event.stream_id} under the key {message.key!r}")
            return counted(before, event, datetime.now(UTC))
        except Exception as error:  # raised in an agent of Faust, it would cost more than this event
            self._refused.tell(message, error)
            return before

    async def _tell(self) -> None:
        if not self.at_work():
            return
        news = self._board.look(self._own_rows(), datetime.now(UTC))
        for statistics in news.statistics:
            await self._statistics.send(key=statistics.stream_id.encode(), value=encode(statistics))
        for stream_id in news.forgotten:
            # Only an agent may change a table of Faust: the event without a value asks `count` to do it.
            await self._events.send(key=stream_id.encode(), value=None)
            await self._statistics.send(key=stream_id.encode(), value=None)

    def _acknowledge(self, message: Any) -> None:  # noqa: ANN401
        self.app.consumer.ack(message)

    def _own_rows(self) -> Iterator[StatisticsRow]:
        consumer, events = self.app.consumer, self._called.events
        own = {part.partition for part in consumer.assignment() if part.topic == events}
        return (row for key, row in self._rows.items() if consumer.key_partition(events, key) in own)
