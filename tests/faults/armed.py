"""`python -m tests.faults.armed POINT NTH SIGNAL …`: framefuse that signals itself at a named point.

The product knows nothing of it: the points are calls of its own that are wrapped here, from outside.
"""

import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable

import confluent_kafka as ck

from framefuse.cli.main import main
from framefuse.kafka import GroupConsumer
from framefuse.runtime.compute import Computation
from framefuse.runtime.merging import MergeMembership
from sinks.result_store import ResultStore


class Gate:
    """Sends this process a signal at its nth passing, and never again."""

    def __init__(self, nth: int, sign: signal.Signals) -> None:
        self._left, self._sign = nth, sign
        self._lock = threading.Lock()

    def passed(self) -> None:
        """Count a passing."""
        with self._lock:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), self._sign)


def _always(*arguments: object) -> bool:
    del arguments
    return True


def _after(
    owner: type, method: str, passed: Callable[[], object], counts: Callable[..., bool] = _always
) -> None:
    """After a call, where its arguments say that something was done in it."""
    true = getattr(owner, method)

    def armed(*arguments: object, **named: object) -> object:
        answer = true(*arguments, **named)
        if counts(*arguments):
            passed()
        return answer

    setattr(owner, method, armed)


def _before(owner: type, method: str, gate: Gate) -> None:
    true = getattr(owner, method)

    def armed(*arguments: object, **named: object) -> object:
        gate.passed()
        return true(*arguments, **named)

    setattr(owner, method, armed)


def _in_transaction(method: str) -> Callable[[Gate], None]:
    """After a call of the client's producer within a transaction."""

    def arm(gate: Gate) -> None:
        def armed(self: ck.Producer, *arguments: object) -> object:
            answer = getattr(ck_producer, method)(self, *arguments)
            gate.passed()
            return answer

        ck_producer = ck.Producer
        # The client's own class is of C and takes no new methods.
        ck.Producer = type("Armed", (ck_producer,), {method: armed})  # type: ignore[assignment, misc]

    return arm


def _at_any_moment(gate: Gate) -> None:
    """Of its work: from its first partitions on."""

    def ticking() -> None:
        while True:
            time.sleep(0.2 + random.random() / 10)
            gate.passed()

    thread = threading.Thread(target=ticking, daemon=True)

    def begin() -> None:
        if not thread.is_alive():
            thread.start()

    _after(GroupConsumer, "_assign", begin, lambda self, client, parts: bool(parts))


POINTS: dict[str, Callable[[Gate], None]] = {
    "any-moment": _at_any_moment,
    "inferred": lambda gate: _after(Computation, "finish", gate.passed),
    "decided": lambda gate: _after(
        MergeMembership, "_advance", gate.passed, lambda self, turn: bool(turn.records)
    ),
    "begun": _in_transaction("begin_transaction"),
    "flushed": _in_transaction("flush"),
    "offsets-sent": _in_transaction("send_offsets_to_transaction"),
    "committed": _in_transaction("commit_transaction"),
    "before-put": lambda gate: _before(ResultStore, "create", gate),
    "after-put": lambda gate: _after(ResultStore, "create", gate.passed),
    "position-committed": lambda gate: _after(
        GroupConsumer, "commit", gate.passed, lambda self, offsets, *notes: bool(offsets)
    ),
}
_TRANSACTION = ("begun", "flushed", "offsets-sent", "committed")
OF_STAGE: dict[str, tuple[str, ...]] = {
    "detection": ("any-moment", "inferred", *_TRANSACTION),
    "depth": ("any-moment", "inferred", *_TRANSACTION),
    "join": ("any-moment", "decided", *_TRANSACTION),
    "object-store": ("any-moment", "inferred", "before-put", "after-put", "position-committed"),
}


if __name__ == "__main__":
    point, nth, sign, *rest = sys.argv[1:]
    POINTS[point](Gate(int(nth), signal.Signals[sign]))
    sys.argv = ["framefuse", *rest]
    main()
