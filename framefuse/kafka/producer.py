"""The plain producer, for publishers: idempotent, acknowledged by all replicas, bounded."""

import time
from collections.abc import Callable, Iterable, Mapping

import confluent_kafka as ck

from framefuse.errors import AccessDenied, BadInput, Retry, Stop
from framefuse.kafka.connection import log_error, producer_config
from framefuse.kafka.messages import Delivery, RawError, RawMessage, timestamp_of
from framefuse.kafka.refusals import denied, lacks_right
from framefuse.settings import KafkaSettings

OnDelivery = Callable[[Delivery], None]


class BufferFull(Retry):
    """The local queue of the producer is full: the broker is slower than we are."""


class Producer:
    """Sends records; every one is either acknowledged or reported with its error."""

    def __init__(
        self,
        settings: KafkaSettings,
        *,
        live: bool = False,
        client_id: str = "framefuse",
        on_unreachable: Callable[[], None] | None = None,
    ) -> None:
        """Connect lazily; the first `send` or `flush` reaches out.

        Args:
            settings: where the broker is.
            live: send each record at once instead of waiting 5 ms for company.
            client_id: shown in the broker's logs and metrics.
            on_unreachable: called from `poll` or `flush` when no broker can be reached any more; the client
                tries again by itself, and tells of each try.
        """
        self._on_unreachable = on_unreachable
        config = producer_config(settings, client_id) | {
            "linger.ms": 0 if live else 5,
            "delivery.timeout.ms": 120_000,
            "error_cb": self._note,
        }
        self._settings = settings
        self._fatal: ck.KafkaError | None = None
        self._producer = ck.Producer(config)

    def send(
        self,
        topic: str,
        value: bytes,
        *,
        key: bytes | None,
        partition: int | None = None,
        headers: Mapping[str, bytes] | None = None,
        on_delivery: OnDelivery | None = None,
    ) -> None:
        """Hand a record to the sending thread; `on_delivery` is called from `poll` or `flush`.

        Raises:
            BufferFull: call `poll` and send again.
            BadInput: the record is larger than the limit.
            Stop: the broker will take none of this producer.
        """
        try:
            self._producer.produce(
                topic,
                value=value,
                key=key,
                partition=-1 if partition is None else partition,
                headers=dict(headers) if headers else None,
                on_delivery=_reporter(self._settings, on_delivery) if on_delivery else None,
            )
        except BufferError:
            raise BufferFull("the producer's queue is full", retry_after_s=0.05) from None
        except ck.KafkaException as error:
            if error.args[0].code() == ck.KafkaError.MSG_SIZE_TOO_LARGE:
                raise BadInput(f"a record of {len(value)} bytes is too large for {topic}") from None
            raise self._ended(error.args[0], topic) from None

    def send_all(
        self, topic: str, records: Iterable[tuple[bytes | None, bytes]], *, what: str, within_s: float
    ) -> None:
        """Send all of these, and return when the broker has them.

        Args:
            topic: of all of them.
            records: keys and values; taken one by one.
            what: they are, as in "2 of 3 schemas".
            within_s: how long the broker may leave the queue full, and how long it may take after the last.

        Raises:
            AccessDenied: we may not write them.
            Stop: the broker will take none of this producer, or one is larger than the limit.
            Retry: it refused some for another reason, or has not answered for them in time.
        """
        failed: list[Delivery] = []
        sent = taken = 0

        def reported(delivery: Delivery) -> None:
            nonlocal taken
            taken += delivery.error is None
            if delivery.error is not None:
                failed.append(delivery)

        for key, value in records:
            self._send_in_time(topic, value, key, reported, within_s)
            sent += 1
            self.poll(0)
        self.flush(within_s)
        if failed:
            worst = max(failed, key=lambda delivery: delivery.denied)
            refusal = AccessDenied if worst.denied else Retry
            raise refusal(f"{len(failed)} of {sent} {what} were refused by the broker: {worst.error}")
        if taken < sent:
            raise Retry(f"{sent - taken} of {sent} {what} were not acknowledged in {within_s:g} s: {topic}")

    def __len__(self) -> int:
        """Records that are handed over and not yet reported."""
        return len(self._producer)

    def poll(self, timeout_s: float = 0.0) -> int:
        """Serve delivery reports; the number served."""
        try:
            return self._producer.poll(timeout_s)
        except ck.KafkaException as error:  # the next `send` says it, to who sends
            self._fatal = error.args[0]
            return 0

    def flush(self, timeout_s: float) -> int:
        """Wait for every record to be reported; the number still waiting after `timeout_s`.

        Raises:
            Stop: the broker will take none of this producer.
        """
        try:
            return self._producer.flush(timeout_s)
        except ck.KafkaException as error:
            raise self._ended(error.args[0], "its topics") from None

    def abandon(self) -> None:
        """Forget what is not yet on its way to the broker; it is reported as failed."""
        self._producer.purge(in_queue=True, in_flight=False)

    def close(self, timeout_s: float = 10.0) -> None:
        """Flush and disconnect."""
        self.flush(timeout_s)

    def _send_in_time(
        self, topic: str, value: bytes, key: bytes | None, on_delivery: OnDelivery, within_s: float
    ) -> None:
        give_up_s = time.monotonic() + within_s
        while True:
            try:
                return self.send(topic, value, key=key, on_delivery=on_delivery)
            except BufferFull as full:
                if time.monotonic() > give_up_s:
                    raise
                self.poll(full.retry_after_s)

    def _note(self, error: ck.KafkaError) -> None:
        log_error(error)
        if error.fatal():
            self._fatal = error
        if error.code() == ck.KafkaError._ALL_BROKERS_DOWN and self._on_unreachable is not None:
            self._on_unreachable()

    def _ended(self, error: ck.KafkaError, topic: str) -> Stop:
        """What ended this producer: a right that is missing, or another fatal error."""
        if error.code() == ck.KafkaError._FATAL:
            self.poll(0.1)  # the client says why only to who asks
        cause = self._fatal or error
        if lacks_right(cause):
            return denied(self._settings, cause, "write", topic=topic)
        return Stop(f"the producer of {topic} cannot go on: {cause.str()}")


def _reporter(settings: KafkaSettings, on_delivery: OnDelivery) -> Callable[[RawError, RawMessage], None]:
    def told(error: RawError, topic: str, *, refused: bool) -> str:
        return str(denied(settings, error, "write", topic=topic)) if refused else error.str()

    def report(error: RawError, raw: RawMessage) -> None:
        refused = error is not None and lacks_right(error)
        on_delivery(
            Delivery(
                topic=raw.topic(),
                partition=raw.partition() if raw.partition() is not None else -1,
                offset=raw.offset() if error is None else -1,
                timestamp=timestamp_of(raw) if error is None else None,
                error=None if error is None else told(error, raw.topic(), refused=refused),
                denied=refused,
            )
        )

    return report
