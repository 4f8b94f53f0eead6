"""A transactional producer on the real broker: who is told of a twin, and who of a broker that is silent."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from framefuse.broker.home import RunningBroker
from framefuse.kafka import Fenced, Outgoing, TransactionalProducer, TransactionFailed, transactions
from tests.parts.logs import Logs

pytestmark = pytest.mark.broker


@contextmanager
def a_writer(logs: Logs, transactional_id: str) -> Iterator[TransactionalProducer]:
    """One that has written already."""
    writer = TransactionalProducer(logs.kafka, transactional_id)
    writer.write([a_record(logs)])
    try:
        yield writer
    finally:
        writer.close()


def a_record(logs: Logs) -> Outgoing:
    return Outgoing(logs.fused, 0, b"gate", b"x")


def test_whose_id_another_one_takes_is_fenced(broker: RunningBroker, topic_prefix: str) -> None:
    name = f"{topic_prefix}.join"
    with (
        Logs(broker.bootstrap, topic_prefix) as logs,
        a_writer(logs, name) as first,
        a_writer(logs, name),
        pytest.raises(Fenced),
    ):
        first.write([a_record(logs)])


def test_a_broker_that_is_silent_beyond_the_abort_is_no_twin(
    broker: RunningBroker, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Logs(broker.bootstrap, topic_prefix) as logs, a_writer(logs, f"{topic_prefix}.join") as writer:
        monkeypatch.setattr(transactions, "_CALL_TIMEOUT_S", 0.3)
        os.kill(broker.pid, signal.SIGSTOP)
        try:
            with pytest.raises(TransactionFailed, match="abort failed"):
                writer.write([a_record(logs)])
        finally:
            os.kill(broker.pid, signal.SIGCONT)
