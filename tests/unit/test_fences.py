"""What a transaction that fails is taken for: only a fence can be blamed on a twin.

The client is played: a real one cannot be made to fail for every cause on cue.
"""

from collections.abc import Callable

import confluent_kafka as ck
import pytest

from framefuse.kafka import Fenced, Outgoing, TransactionalProducer, TransactionFailed
from framefuse.settings import KafkaSettings

FENCED, PRODUCER_FENCED = ck.KafkaError._FENCED, ck.KafkaError.PRODUCER_FENCED
EPOCH, TIMED_OUT = ck.KafkaError.INVALID_PRODUCER_EPOCH, ck.KafkaError._TIMED_OUT
STATE, BAD_SEQUENCE = ck.KafkaError.INVALID_TXN_STATE, ck.KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER


class PlayedProducer:
    """Fails to commit, and to abort, as it was told."""

    def __init__(self, commit: ck.KafkaError, abort: ck.KafkaError | None) -> None:
        self._commit, self._abort = commit, abort
        self.aborts = 0

    def init_transactions(self, timeout_s: float) -> None: ...
    def begin_transaction(self) -> None: ...
    def produce(self, *_: object, **__: object) -> None: ...
    def purge(self) -> None: ...

    def flush(self, timeout_s: float) -> int:
        return 0

    def commit_transaction(self, timeout_s: float) -> None:
        raise ck.KafkaException(self._commit)

    def abort_transaction(self, timeout_s: float) -> None:
        self.aborts += 1
        if self._abort is not None:
            raise ck.KafkaException(self._abort)


Write = Callable[[ck.KafkaError, ck.KafkaError | None], tuple[type[Exception], int]]


@pytest.fixture
def write(monkeypatch: pytest.MonkeyPatch) -> Write:
    """What one transaction raises, and how often it was aborted, for what its commit and abort fail with."""

    def written(commit: ck.KafkaError, abort: ck.KafkaError | None) -> tuple[type[Exception], int]:
        played = PlayedProducer(commit, abort)
        monkeypatch.setattr(ck, "Producer", lambda config: played)
        producer = TransactionalProducer(KafkaSettings(bootstrap="127.0.0.1:9"), "own.0")
        with pytest.raises((Fenced, TransactionFailed)) as caught:
            producer.write([Outgoing("own", 0, None, b"x")])
        producer.close()
        return caught.type, played.aborts

    return written


@pytest.mark.parametrize("code", [FENCED, PRODUCER_FENCED, EPOCH])
def test_a_fence_is_told_as_one_and_needs_no_abort(write: Write, code: int) -> None:
    assert write(ck.KafkaError(code, "", fatal=True), None) == (Fenced, 0)


@pytest.mark.parametrize("code", [STATE, BAD_SEQUENCE])
def test_what_else_ends_a_producer_is_no_fence(write: Write, code: int) -> None:
    assert write(ck.KafkaError(code, "", fatal=True), None) == (TransactionFailed, 0)


@pytest.mark.parametrize(
    ("code", "fatal", "told"),
    [
        (TIMED_OUT, False, TransactionFailed),
        (STATE, True, TransactionFailed),
        (FENCED, True, Fenced),
        (EPOCH, True, Fenced),
    ],
)
def test_an_abort_that_fails_is_a_fence_only_where_it_is_one(
    write: Write, code: int, *, fatal: bool, told: type[Exception]
) -> None:
    assert write(ck.KafkaError(TIMED_OUT, ""), ck.KafkaError(code, "", fatal=fatal)) == (told, 1)


def test_what_was_aborted_is_no_fence(write: Write) -> None:
    assert write(ck.KafkaError(EPOCH, ""), None) == (TransactionFailed, 1)
