"""One relative map brought to the scale of another: the scale and shift that most of the picture agrees on.

Pure; knows grids of numbers. What moved between the two maps is in the minority and has no say: lines through
pairs of cells are tried, the one with the most cells near it wins, and those cells refine it. Both maps have
noise, and the fit must know whose is larger: plain least squares would make each map a little flatter (or,
the other way round, steeper) than the one before it, and after some minutes all of them flat.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from framefuse.pictures.decoding import Values

Cells = npt.NDArray[np.float64]
Grid = npt.NDArray[np.float32]
"""Means of the map's parts, `ROWS` × `COLUMNS`; NaN where a part has a pixel without value."""

ROWS, COLUMNS = 24, 32
_PAIRS = 128
_LEAST_CELLS = ROWS * COLUMNS // 4
"""With values in both maps."""
_NEAR = 0.05
"""Of the map's spread: a cell this close to the line agrees with it."""
_REACH = 3.0
"""Times that: a cell further away has no weight."""
_AGREEING = 0.7
"""At least this share of the cells; less is another scene."""
_LARGEST_SCALE = 4.0
_APART = 0.2
"""Of the reference's spread: cells less far apart say little about the scale."""
_ROUNDS = 8
_TUKEY = 4.685
_FLAT = 1e-4


@dataclass(frozen=True, slots=True)
class Affine:
    """reference ≈ map * scale + shift."""

    scale: float
    shift: float


def grid_of(values: Values) -> Grid:
    """The means of a map's parts, which an affine change of the map changes alike.

    Args:
        values: h×w float32, NaN where there is no value.
    """
    return np.asarray(cv2.resize(values, (COLUMNS, ROWS), interpolation=cv2.INTER_AREA), np.float32)


def flat(grid: Grid) -> bool:
    """Whether there is nothing to fit: too few values, or all but the same."""
    cells = grid[np.isfinite(grid)].astype(np.float64)
    return cells.size < _LEAST_CELLS or _spread(cells) <= _FLAT * max(float(np.abs(cells).max()), 1e-12)


def align(grid: Grid, reference: Grid, noise_ratio: float) -> Affine | None:
    """Scale and shift that bring `grid` to `reference`; None where they show two scenes.

    Args:
        grid: of the map; not flat.
        reference: of the maps before it; not flat.
        noise_ratio: variance of the noise of one map over that of the reference.
    """
    both = np.isfinite(grid) & np.isfinite(reference)
    if np.count_nonzero(both) < _LEAST_CELLS:
        return None
    found, given = grid[both].astype(np.float64), reference[both].astype(np.float64)
    near = _NEAR * _spread(found)
    line = _most_agreed(found, given, near)
    if line is None:
        return None
    line = _refined(line, found, given, near, noise_ratio)
    if not _possible(line.scale) or np.mean(line.misses(found, given) < near) < _AGREEING:
        return None
    return Affine(1 / line.scale, -line.shift / line.scale)


def agreeing(grid: Grid, reference: Grid) -> npt.NDArray[np.bool_]:
    """The cells that show the same in an aligned map as in its reference."""
    cells = reference[np.isfinite(reference)].astype(np.float64)
    return np.asarray(np.abs(grid - reference) < _NEAR * _spread(cells))


@dataclass(frozen=True, slots=True)
class _Line:
    """found ≈ given * scale + shift: the reference is given, the map is what was found."""

    scale: float
    shift: float

    def misses(self, found: Cells, given: Cells) -> Cells:
        """How far each cell of the map is from the line."""
        return np.abs(given * self.scale + self.shift - found)


def _possible(scale: Any) -> Any:  # noqa: ANN401 - one or many
    return (scale >= 1 / _LARGEST_SCALE) & (scale <= _LARGEST_SCALE)


def _spread(cells: Cells) -> float:
    low, high = np.percentile(cells, (5, 95))
    return float(high - low)


def _most_agreed(found: Cells, given: Cells, near: float) -> _Line | None:
    """Of the lines through pairs of cells, always the same pairs, the one that most cells lie near."""
    first, second = np.random.default_rng(0).integers(0, found.size, (2, _PAIRS))
    apart = given[first] - given[second]
    telling = np.abs(apart) > _APART * _spread(given)
    first, second, apart = first[telling], second[telling], apart[telling]
    scale = (found[first] - found[second]) / apart
    first, scale = first[_possible(scale)], scale[_possible(scale)]
    if not scale.size:
        return None
    shift = found[first] - scale * given[first]
    misses = np.abs(scale[:, None] * given + shift[:, None] - found)
    best = int(np.minimum(misses / near, 1).sum(axis=1).argmin())
    return _Line(float(scale[best]), float(shift[best]))


def _refined(line: _Line, found: Cells, given: Cells, near: float, noise_ratio: float) -> _Line:
    """Deming's regression, each cell weighted by how near it is (Tukey's biweight)."""
    for _ in range(_ROUNDS):
        misses = line.misses(found, given)
        reach = np.clip(_TUKEY * 1.4826 * np.median(misses), 0.01 * near, _REACH * near)
        weight = np.where(misses < reach, (1 - (misses / reach) ** 2) ** 2, 0.0)
        total = weight.sum()
        if total < 2:
            return line
        mid_found, mid_given = (weight * found).sum() / total, (weight * given).sum() / total
        found_by_found = (weight * (found - mid_found) ** 2).sum()
        given_by_given = (weight * (given - mid_given) ** 2).sum()
        both = (weight * (found - mid_found) * (given - mid_given)).sum()
        if both <= 0:
            return line
        quieter = noise_ratio * line.scale**2
        more = found_by_found - quieter * given_by_given
        scale = float((more + np.sqrt(more**2 + 4 * quieter * both**2)) / (2 * both))
        line = _Line(scale, float(mid_found - scale * mid_given))
    return line
