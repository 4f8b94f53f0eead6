"""The solids: a ray that hits one ends on its surface, and its surface looks outward there."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.scenes.shapes import Floats, Shape, hit, normal

TAPER = (0.7, 0.4)
ANGLES = st.floats(0.01, 6.27)
ALL_SHAPES = pytest.mark.parametrize("shape", list(Shape))


def a_ray(turn: float, rise: float) -> tuple[Floats, Floats]:
    """From five lengths outside towards a point near the middle of a solid."""
    start = 5 * np.array([np.cos(turn) * np.cos(rise), np.sin(rise), np.sin(turn) * np.cos(rise)])
    aim = np.array([0.13, -0.21, 0.08])
    return start.astype(np.float32), ((aim - start) / 5).astype(np.float32)


def distance_outside(shape: Shape, x: float, y: float, z: float) -> float:
    """Above zero outside, below inside, zero on the surface."""
    match shape:
        case Shape.BOX:
            return max(abs(x), abs(y), abs(z)) - 1
        case Shape.BALL:
            return float(np.sqrt(x * x + y * y + z * z)) - 1
        case Shape.DRUM:
            return max(float(np.hypot(x, z)), abs(y)) - 1
        case Shape.CONE:
            return max(float(np.hypot(x, z)) - (1 - y) / 2, abs(y) - 1)
        case Shape.WEDGE:
            lean = (y + 1) / 2
            return max(abs(x) - (1 - lean * (1 - TAPER[0])), abs(z) - (1 - lean * (1 - TAPER[1])), abs(y) - 1)


@ALL_SHAPES
@given(turn=ANGLES, rise=st.floats(-1.5, 1.5))
def test_a_ray_ends_on_the_surface(shape: Shape, turn: float, rise: float) -> None:
    start, direction = a_ray(turn, rise)
    one = [np.array([value], np.float32) for value in direction]
    t = hit(shape, TAPER, (start[0], start[1], start[2]), (one[0], one[1], one[2]))
    x, y, z = start + t[0] * direction
    assert abs(distance_outside(shape, x, y, z)) < 2e-3


@ALL_SHAPES
@given(turn=ANGLES, rise=st.floats(-1.5, 1.5))
def test_the_surface_looks_towards_where_the_ray_came_from(shape: Shape, turn: float, rise: float) -> None:
    start, direction = a_ray(turn, rise)
    one = [np.array([value], np.float32) for value in direction]
    t = hit(shape, TAPER, (start[0], start[1], start[2]), (one[0], one[1], one[2]))
    x, y, z = (np.array([value], np.float32) for value in start + t[0] * direction)
    face = np.array([part[0] for part in normal(shape, TAPER, x, y, z)])
    assert face @ direction < 0.05


@ALL_SHAPES
def test_a_ray_that_passes_by_never_ends(shape: Shape) -> None:
    ahead, aside = np.ones(1, np.float32), np.zeros(1, np.float32)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = hit(shape, TAPER, (1.5, 0.1, -5.0), (aside + 1e-7, aside + 1e-7, ahead))
    assert np.isinf(t).all()
