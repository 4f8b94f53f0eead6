"""Sets of offsets at a bit each: of millions of frames, whether they are in it. Pure."""

_CHUNK = 8192


class Offsets:
    """A set of offsets ≥ 0 that lie more or less together."""

    def __init__(self) -> None:
        self._chunks: dict[int, bytearray] = {}

    def add(self, offset: int) -> None:
        """Put one in."""
        number, at = divmod(offset, _CHUNK)
        chunk = self._chunks.get(number)
        if chunk is None:
            chunk = self._chunks[number] = bytearray(_CHUNK // 8)
        chunk[at >> 3] |= 1 << (at & 7)

    def __contains__(self, offset: int) -> bool:
        number, at = divmod(offset, _CHUNK)
        chunk = self._chunks.get(number)
        return chunk is not None and bool(chunk[at >> 3] >> (at & 7) & 1)
