"""Waiting for what other processes do."""

import time
from collections.abc import Callable


def until(true: Callable[[], object], patience_s: float = 60.0, *, what: str = "it") -> None:
    """Wait for something to become true; `what` says it where it never does."""
    give_up_s = time.monotonic() + patience_s
    while not true():
        assert time.monotonic() < give_up_s, f"{what} never came true in {patience_s} s"
        time.sleep(0.05)
