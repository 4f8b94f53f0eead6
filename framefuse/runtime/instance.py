"""Names for workers, so that no two live ones share a transactional id."""

import fcntl
import os
import re
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from framefuse.errors import Stop
from framefuse.kafka.connection import spool_dir

_SLOTS = 10_000


@dataclass(frozen=True)
class Slot:
    """A number on this host that belongs to this worker until its process ends."""

    name: str
    lock: "IO[str] | None"

    def release(self) -> None:
        """Give the number back."""
        if self.lock is not None:
            self.lock.close()


def claim(group: str, index: int, *, spool: Path | None = None) -> Slot:
    """A name for worker `index` of this process in `group`.

    `FRAMEFUSE_INSTANCE` (e.g. a pod's name) + index where it is set; else the host's name + the first number
    that no other process of this host holds (by file lock, which dies with the process).

    Raises:
        Stop: ten thousand workers of one group on one host.
    """
    given = os.environ.get("FRAMEFUSE_INSTANCE")
    if given:
        return Slot(f"{given}-{index}", None)
    folder = (spool or spool_dir()) / "slots"
    folder.mkdir(parents=True, exist_ok=True)
    safe_group = re.sub(r"[^A-Za-z0-9._-]", "_", group)
    for number in range(_SLOTS):
        lock = (folder / f"{safe_group}-{number}").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        return Slot(f"{socket.gethostname()}-{number}", lock)
    raise Stop(f"no free worker number for {group} on this host: {_SLOTS} are taken")
