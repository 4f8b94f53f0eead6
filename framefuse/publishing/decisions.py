"""What a publisher decides, without clock, network or Kafka: names, ids, partitions, pacing, limits.

How far a file publisher may run ahead of the workers is in `hold_back.py`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import NAMESPACE_URL, uuid5

from uuid_utils.compat import uuid7

from framefuse.errors import BadInput
from schemas.topics import valid_stream_id

DEFAULT_LIVE_FRESHNESS_MS = 500
_FIRST_SLOT = -1
_SLOT_SLACK = 1e-6


def new_run_id() -> str:
    """A UUIDv7 for one life of a publisher: later runs sort after earlier ones."""
    return str(uuid7())


def frame_id_for(stream_id: str, idempotency_key: str | None = None) -> str:
    """A UUIDv7, or with a key always the same UUIDv5 for the same stream and key.

    Args:
        stream_id: a valid stream id, so without `/`.
        idempotency_key: the user's own name of the picture.
    """
    if idempotency_key is None:
        return str(uuid7())
    return str(uuid5(NAMESPACE_URL, f"framefuse:{stream_id}/{idempotency_key}"))


def checked_stream_id(text: str) -> str:
    """`text`, if it can name a stream.

    Raises:
        BadInput: it cannot; the message offers one that can.
    """
    if not valid_stream_id(text):
        raise BadInput(
            f"stream id '{text}' cannot be used, expected 1 to 64 of A-Z a-z 0-9 . _ - "
            f"and not 'unreadable': try '{stream_id_from(text)}'"
        )
    return text


def stream_id_from(name: str) -> str:
    """A valid stream id that resembles `name`, such as a file name without its ending."""
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:64].rstrip("-.")
    return slug if valid_stream_id(slug) else f"stream-{slug}".rstrip("-")


def distinct(stream_ids: Iterable[str]) -> list[str]:
    """The ids in order, later ones that repeat an earlier one with `-2`, `-3`… at the end."""
    taken: set[str] = set()
    named: list[str] = []
    for stream_id in stream_ids:
        candidate, count = stream_id, 1
        while candidate in taken:
            count += 1
            candidate = f"{stream_id[: 64 - len(str(count)) - 1]}-{count}"
        taken.add(candidate)
        named.append(candidate)
    return named


class Thinner:
    """Keeps at most `fps` pictures a second, evenly spread over time; all of them when `fps` is None."""

    def __init__(self, fps: float | None) -> None:
        self._fps = fps
        self._slot = _FIRST_SLOT

    def keep(self, pts_s: float) -> bool:
        """Whether the picture at this time (seconds, never falling) is one to keep."""
        if self._fps is None:
            return True
        slot = int(pts_s * self._fps + _SLOT_SLACK)
        if slot <= self._slot:
            return False
        self._slot = slot
        return True


class Pacer:
    """When each picture of a source is due, once the first has set the start."""

    def __init__(self) -> None:
        self._start_s: float | None = None

    def wait_s(self, pts_s: float, now_s: float) -> float:
        """Seconds from `now_s` until the picture at `pts_s` is due, 0 when it is late."""
        if self._start_s is None:
            self._start_s = now_s - pts_s
        return max(0.0, self._start_s + pts_s - now_s)

    def late_s(self, pts_s: float, now_s: float) -> float:
        """Seconds that have passed since that picture was due, 0 when it is not late."""
        return 0.0 if self._start_s is None else max(0.0, now_s - self._start_s - pts_s)


def partition_of(key: bytes, partitions: int) -> int:
    """The partition that every Kafka client's murmur2 partitioner gives this key."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def murmur2(data: bytes) -> int:
    """The 32-bit hash of Kafka's default partitioner, unsigned."""
    mask, m = 0xFFFFFFFF, 0x5BD1E995
    h = 0x9747B28C ^ len(data)
    whole = len(data) & ~3
    for at in range(0, whole, 4):
        k = int.from_bytes(data[at : at + 4], "little") * m & mask
        k = (k ^ k >> 24) * m & mask
        h = h * m & mask ^ k
    if whole < len(data):
        h = (h ^ int.from_bytes(data[whole:], "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15


def emptiest(taken: Sequence[int], lag: Mapping[int, int], ends: Mapping[int, int]) -> int:
    """The partition for one more stream: fewest streams of ours, then least lag, then least ever written.

    Args:
        taken: streams of this process on each partition, by number.
        lag: frames waiting on each partition, where known.
        ends: end offset of each partition, where known.
    """
    return min(range(len(taken)), key=lambda p: (taken[p], lag.get(p, 0), ends.get(p, 0), p))


@dataclass(frozen=True, slots=True)
class Sums:
    """What became of the pictures of one stream, so far. Every picture is in one of the counts."""

    handed: int = 0
    """Given to the Kafka client, not yet acknowledged."""
    published: int = 0
    """Acknowledged by the broker."""
    failed: int = 0
    """Never acknowledged; may or may not be in the topic."""
    rejected: int = 0
    """Refused before sending: too large, unreadable."""
    dropped: int = 0
    """Live frames given up for newer ones."""
    last_sequence: int | None = None
    """The largest acknowledged one."""
