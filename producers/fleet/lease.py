"""How long a publisher may trust that its cameras are still its own, without asking anybody.

The broker gives our partitions away when it has not heard of us for the session time-out. Whoever was stopped
for that long (SIGSTOP, a suspended machine, a host without memory) does not know it when it goes on. So every
frame is sent under a lease that the main loop renews; the lease ends before the session can, and an ended one
is never renewed: the publisher lets go of everything and joins anew.
"""

import time

_BOOT_TIME = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def clock_s() -> float:
    """Seconds that go on while the process is stopped and, where the system can tell, the machine sleeps."""
    return time.clock_gettime(_BOOT_TIME)


class Lease:
    """Holds while it is renewed in time. Pure: time is an argument. Read by many threads, renewed by one."""

    def __init__(self, valid_s: float, now_s: float) -> None:
        self._valid_s = valid_s
        self._until_s = now_s + valid_s

    def holds(self, now_s: float) -> bool:
        """Whether frames may be sent."""
        return now_s < self._until_s

    def renew(self, now_s: float) -> bool:
        """Go on for as long again; False where it has ended, for good."""
        if not self.holds(now_s):
            self._until_s = float("-inf")
            return False
        self._until_s = now_s + self._valid_s
        return True

    def end(self) -> None:
        """End it now, for good."""
        self._until_s = float("-inf")
