"""Waiting for what other processes do."""

import time
from collections.abc import Callable


def until(true: Callable[[], object], patience_s: float = 60.0) -> None:
    """Wait for something to become true."""
    give_up_s = time.monotonic() + patience_s
    while not true():
        assert time.monotonic() < give_up_s, "it never came true"
        time.sleep(0.05)
