"""Calls that may never return: made in a thread that can be left behind. Knows no Kafka."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TypeVar

T = TypeVar("T")


class Stuck(Exception):
    """A call did not return in time; its thread is left behind, and takes no other."""


class Abandonable:
    """Runs one call after the other in a daemon thread of its own."""

    def __init__(self, name: str) -> None:
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self.stuck = False
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def call(self, function: Callable[[], T], timeout_s: float) -> T:
        """What `function` returns or raises.

        Raises:
            Stuck: it took longer than `timeout_s`, or a call before it did.
        """
        if self.stuck:
            raise Stuck
        answer: Future[T] = Future()

        def run() -> None:
            try:
                answer.set_result(function())
            except BaseException as error:
                answer.set_exception(error)

        self._calls.put(run)
        try:
            return answer.result(timeout_s)
        except TimeoutError:
            if answer.done():
                raise
            self.stuck = True
            raise Stuck from None

    def close(self) -> None:
        """End the thread, once the call it is in returns."""
        self._calls.put(None)

    def _work(self) -> None:
        while (run := self._calls.get()) is not None:
            run()
