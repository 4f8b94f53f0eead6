"""Relative maps of a stream on one scale over time, where somebody asked for it.

Each map of a stream is aligned to a running reference, and says the scale and shift that were used, so that
whoever wants the model's own values has them back. The reference lives in this process only: another worker,
another run, another size, a gap of time or another scene begin a new one, and the map says so (`since`).

A batch that was not committed is read again. The states of a stream are therefore kept by frame offset, and a
frame goes on from the one before *it*, not from the last one seen: the same frame gets the same answer.
"""

import threading
from collections import OrderedDict, deque
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from framefuse.pictures.decoding import Values
from processors.depth.aligning import Affine, Grid, agreeing, align, flat, grid_of
from schemas.records import Derived, Stabilisation

LONGEST_GAP = timedelta(seconds=2)
"""By the camera's clock: after a longer one nothing says that the camera still sees the same."""
_STREAMS = 256
"""Of one process; those that were silent longest are forgotten."""
_KEPT = 64
"""States of a stream, to read frames again; further back a new reference begins."""
_PACE = 0.2
"""How much of a new map enters the reference, where it shows the same."""
_NOISE_RATIO = (2 - _PACE) / _PACE
_PATIENCE = 5
"""Frames in a row that a cell must show something else until the reference takes it: nothing lingers there
half, neither a thing that passes nor what it uncovers."""
_LEAK = 1 / 2000
"""How fast, a frame, the scale goes back to the model's own, so that errors do not add up for hours."""

_Key = tuple[str, int, str]


@dataclass(frozen=True, slots=True)
class _State:
    """A stream after one frame."""

    offset: int
    run_id: str
    sequence: int
    captured_at: datetime
    size: tuple[int, ...]
    since: int
    reference: Grid
    last: Grid
    """The last map, aligned: where a camera turns fast, it is nearer than the reference."""
    doubts: npt.NDArray[np.uint8]
    """Of each cell: frames in a row that showed something else than the reference."""

    def goes_on_with(self, origin: Derived, size: tuple[int, ...]) -> bool:
        gap = origin.captured_at - self.captured_at
        return (
            self.run_id == origin.run_id
            and self.sequence < origin.sequence
            and timedelta(0) <= gap <= LONGEST_GAP
            and self.size == size
        )


class Stabiliser:
    """The references of all streams of a process; safe to call from several threads."""

    def __init__(self) -> None:
        self._histories: OrderedDict[_Key, deque[_State]] = OrderedDict()
        self._lock = threading.Lock()

    def stabilise(self, origin: Derived, values: Values) -> tuple[Values, Stabilisation | None]:
        """The values of a relative map on the scale of its stream, and what was done to them.

        Args:
            origin: of the frame.
            values: h×w float32, NaN where there is no value.

        Returns:
            The values as they were and None for a map that says nothing about scale (all the same, or hardly
            any value), and for a frame that was sent again: it stands outside the order of its stream.
        """
        grid = grid_of(values)
        if origin.attempt > 0 or flat(grid):
            return values, None
        with self._lock:
            history = self._history(origin)
            before = history[-1] if history else None
            line, state = _next(before, origin, values.shape, grid)
            history.append(state)
        done = Stabilisation(line.scale, line.shift, state.since)
        if state.since == origin.sequence:
            return values, done
        return values * np.float32(line.scale) + np.float32(line.shift), done

    def _history(self, origin: Derived) -> deque[_State]:
        """The states of this stream before this frame."""
        key = (origin.frame.topic, origin.frame.partition, origin.stream_id)
        history = self._histories.setdefault(key, deque(maxlen=_KEPT))
        self._histories.move_to_end(key)
        if len(self._histories) > _STREAMS:
            self._histories.popitem(last=False)
        while history and history[-1].offset >= origin.frame.offset:
            history.pop()
        return history


def _next(before: _State | None, origin: Derived, size: tuple[int, ...], grid: Grid) -> tuple[Affine, _State]:
    """How a map changes, and the state of its stream after it."""
    if before is None or not before.goes_on_with(origin, size):
        return _begun(origin, size, grid)
    line = align(grid, before.reference, _NOISE_RATIO)
    if line is not None:
        aligned = _aligned(grid, line)
        reference, doubts = _followed(before, aligned)
    else:
        line = align(grid, before.last, 1.0)
        if line is None:
            return _begun(origin, size, grid)
        reference = aligned = _aligned(grid, line)
        doubts = np.zeros_like(before.doubts)
    leak = Affine(line.scale**-_LEAK, -_LEAK * line.shift)
    state = replace(
        before,
        offset=origin.frame.offset,
        sequence=origin.sequence,
        captured_at=origin.captured_at,
        reference=_aligned(reference, leak),
        last=_aligned(aligned, leak),
        doubts=doubts,
    )
    return line, state


def _begun(origin: Derived, size: tuple[int, ...], grid: Grid) -> tuple[Affine, _State]:
    """A new scale: the model's own."""
    offset, since = origin.frame.offset, origin.sequence
    none = np.zeros(grid.shape, np.uint8)
    state = _State(offset, origin.run_id, since, origin.captured_at, size, since, grid, grid, none)
    return Affine(1.0, 0.0), state


def _aligned(grid: Grid, line: Affine) -> Grid:
    return grid * np.float32(line.scale) + np.float32(line.shift)


def _followed(before: _State, aligned: Grid) -> tuple[Grid, npt.NDArray[np.uint8]]:
    """The reference and the doubts after one more map."""
    reference = before.reference
    same = agreeing(aligned, reference)
    other = np.isfinite(aligned) & ~same
    doubts = np.where(other, before.doubts + 1, np.where(same, 0, before.doubts))
    taken = (doubts >= _PATIENCE) | (np.isfinite(aligned) & np.isnan(reference))
    after = np.where(same, reference + np.float32(_PACE) * (aligned - reference), reference)
    return np.where(taken, aligned, after), np.where(taken, 0, doubts).astype(np.uint8)
