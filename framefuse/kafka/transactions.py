"""The transactional producer: outputs and input offsets become visible together, or not at all.

`send_offsets_to_transaction` can hang for ever after a broker was lost, whatever its time-out (librdkafka
issues 5456 and 5511, open in 2.16; seen with a broker killed and restarted). So each transaction is written
in a thread that can be left behind: the next producer of its id fences it, and it can commit no more.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import confluent_kafka as ck

from framefuse.errors import BrokerUnavailable, Retry
from framefuse.kafka.abandonable import Abandonable, Stuck
from framefuse.kafka.connection import producer_config
from framefuse.kafka.notes import metadata_for
from framefuse.kafka.refusals import denied, lacks_right
from framefuse.settings import KafkaSettings
from framefuse.types import Member, Partition

TRANSACTION_TIMEOUT_MS = 10_000
_CALL_TIMEOUT_S = 10.0
_WRITE_LIMIT_S = 15.0
"""The broker has aborted the transaction by then anyway."""


class TransactionFailed(Retry):
    """The transaction is not known to be committed: rejoin with a new producer, read again what is not."""


class Fenced(Retry):
    """This producer may not write any more: another one took its id, or the broker gave up on it."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One record to write within a transaction."""

    topic: str
    partition: int | None
    key: bytes | None
    value: bytes | None = field(repr=False)
    """None forgets the key, in a compacted topic."""


class TransactionalProducer:
    """Writes batches exactly once. Not safe for use by several threads at a time."""

    def __init__(self, settings: KafkaSettings, transactional_id: str) -> None:
        """Register the id with the broker, which fences an older producer of the same id.

        Raises:
            BrokerUnavailable: no broker answered in 30 s.
            AccessDenied: this user may not use the id.
        """
        self.transactional_id, self._settings = transactional_id, settings
        self._producer = ck.Producer(
            producer_config(settings, transactional_id)
            | {
                "transactional.id": transactional_id,
                "transaction.timeout.ms": TRANSACTION_TIMEOUT_MS,
                "linger.ms": 5,
            }
        )
        try:
            self._producer.init_transactions(30.0)
        except ck.KafkaException as error:
            self._refuse(error.args[0])
            raise BrokerUnavailable(
                f"cannot start transactions as {transactional_id}: {error.args[0].str()}"
            ) from None
        self._calls = Abandonable(f"{transactional_id} transactions")

    def write(
        self,
        records: Sequence[Outgoing],
        offsets: Mapping[Partition, int] | None = None,
        group: Member | None = None,
        *,
        notes: Mapping[Partition, str] | None = None,
    ) -> None:
        """One transaction: the records, then the input offsets (with their notes), if there are any.

        `group` says who the consumer was in its group at the poll that brought the batch; it fences zombies.

        Raises:
            TransactionFailed: aborted, or left to the next producer of this id to abort; drop what is in
                flight, rejoin with a new producer, read again.
            Fenced: the same, but another producer of this id may be at work.
        """
        try:
            self._calls.call(lambda: self._write(records, offsets or {}, group, notes or {}), _WRITE_LIMIT_S)
        except Stuck:
            raise TransactionFailed(f"{self.transactional_id}: no answer in {_WRITE_LIMIT_S:.0f} s") from None

    def close(self) -> None:
        """Forget what is queued; an open transaction has been aborted, or is fenced by the next producer."""
        self._calls.close()
        if self._calls.stuck:
            return  # the client may still be in the call; its thread ends when it comes back
        self._producer.purge()
        with suppress(ck.KafkaException):  # fenced: who called was told, or is told by its next producer
            self._producer.flush(1.0)

    def _write(
        self,
        records: Sequence[Outgoing],
        offsets: Mapping[Partition, int],
        group: Member | None,
        notes: Mapping[Partition, str],
    ) -> None:
        try:
            self._producer.begin_transaction()
            for record in records:
                self._produce(record)
            # Without this flush before the offsets a transaction takes 105 ms instead of 5.5 ms.
            if self._producer.flush(_CALL_TIMEOUT_S):
                raise TransactionFailed(
                    f"{len(records)} records were not acknowledged in {_CALL_TIMEOUT_S} s"
                )
            if offsets and group is not None:
                self._producer.send_offsets_to_transaction(
                    _client_offsets(offsets, notes, group.series), group.metadata, _CALL_TIMEOUT_S
                )
            self._commit()
        except ck.KafkaException as error:
            self._give_up(error.args[0])
        except TransactionFailed:
            self._abort()
            raise

    def _produce(self, record: Outgoing) -> None:
        partition = -1 if record.partition is None else record.partition
        while True:
            try:
                self._producer.produce(record.topic, value=record.value, key=record.key, partition=partition)
                return
            except BufferError:
                self._producer.poll(0.05)

    def _commit(self) -> None:
        for last_try in (False, True):
            try:
                self._producer.commit_transaction(_CALL_TIMEOUT_S)
                return
            except ck.KafkaException as error:
                if last_try or not error.args[0].retriable():
                    raise

    def _give_up(self, error: ck.KafkaError) -> None:
        """Abort, and raise what the caller must do next."""
        self._refuse(error)
        if _is_fence(error):
            raise Fenced(f"{self.transactional_id}: {error.str()}") from None
        if not error.fatal():
            self._abort()
        raise TransactionFailed(f"{self.transactional_id}: {error.str()}") from None

    def _refuse(self, error: ck.KafkaError) -> None:
        """Stop on what no waiting mends."""
        if lacks_right(error):
            raise denied(self._settings, error, "write", writer=self.transactional_id) from None

    def _abort(self) -> None:
        try:
            self._producer.abort_transaction(_CALL_TIMEOUT_S)
        except ck.KafkaException as error:
            outcome = Fenced if _is_fence(error.args[0]) else TransactionFailed
            raise outcome(f"{self.transactional_id}: abort failed: {error.args[0].str()}") from None


def _is_fence(error: ck.KafkaError) -> bool:
    """Whether another has the id, or the broker has given up on us; not an epoch that an abort mends."""
    if error.code() == ck.KafkaError.INVALID_PRODUCER_EPOCH:
        return error.fatal()
    return error.code() in (ck.KafkaError._FENCED, ck.KafkaError.PRODUCER_FENCED)


def _client_offsets(
    offsets: Mapping[Partition, int], notes: Mapping[Partition, str], series: str | None
) -> list[ck.TopicPartition]:
    return [
        ck.TopicPartition(part.topic, part.number, offset, metadata=metadata_for(notes.get(part, ""), series))
        for part, offset in offsets.items()
    ]
