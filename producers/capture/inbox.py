"""Packets between the thread that reads a camera and the one that decodes, bounded.

When nobody takes them in time, the oldest go, up to the next picture that can be decoded alone, and are
counted; what comes from a file or in segments (`keep_all`) waits instead.
"""

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TypeAlias

import av
from av.video.stream import VideoStream

PACKETS_LIMIT, BYTES_LIMIT = 250, 16 << 20
_PATIENCE_S = 5.0
VideoPacket: TypeAlias = "av.Packet[VideoStream]"


@dataclass(frozen=True, slots=True)
class Arrival:
    """One packet of video, and the monotonic seconds when it came."""

    packet: VideoPacket
    arrived_s: float


class Inbox:
    """Of one connection."""

    def __init__(self) -> None:
        self.keep_all = False
        """Set before the first packet."""
        self._changed = threading.Condition()
        self._waiting: deque[Arrival] = deque()
        self._bytes = self._dropped = 0
        self._await_key_until_s: float | None = None
        self._over = False

    def put(self, packet: VideoPacket) -> bool:
        """Add one; whether anybody still takes them."""
        with self._changed:
            if self.keep_all:
                self._changed.wait_for(lambda: self._over or not self._full(packet.size))
            elif self._full(packet.size):
                self._drop_to_key()
            if self._over:
                return False
            now_s = time.monotonic()
            if self._skips(packet, now_s):
                self._dropped += 1
                return True
            self._waiting.append(Arrival(packet, now_s))
            self._bytes += packet.size
            self._changed.notify_all()
            return True

    def take(self, timeout_s: float) -> Arrival | None:
        """The oldest, waiting this long at most."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._over, timeout_s)
            if not self._waiting:
                return None
            arrival = self._waiting.popleft()
            self._bytes -= arrival.packet.size
            self._changed.notify_all()
            return arrival

    def dropped(self) -> int:
        """Packets dropped since the last call; one packet is one picture."""
        with self._changed:
            dropped, self._dropped = self._dropped, 0
            return dropped

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def over(self) -> bool:
        """Whether nothing comes any more; what is here can still be taken."""
        return self._over

    def end(self) -> None:
        """Nothing comes any more, or nobody takes anything any more."""
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def _full(self, more_bytes: int) -> bool:
        return bool(self._waiting) and (
            len(self._waiting) >= PACKETS_LIMIT or self._bytes + more_bytes > BYTES_LIMIT
        )

    def _drop_to_key(self) -> None:
        keys = [at for at, arrival in enumerate(self._waiting) if at and arrival.packet.is_keyframe]
        for _ in range(keys[0] if keys else len(self._waiting)):
            self._bytes -= self._waiting.popleft().packet.size
            self._dropped += 1
        if not keys:
            # A camera that refreshes bit by bit never sends one; its picture mends itself.
            self._await_key_until_s = time.monotonic() + _PATIENCE_S

    def _skips(self, packet: VideoPacket, now_s: float) -> bool:
        if self._await_key_until_s is None:
            return False
        if packet.is_keyframe or now_s > self._await_key_until_s:
            self._await_key_until_s = None
            return False
        return True
