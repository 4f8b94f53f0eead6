"""A world by its seed: light, ground, sky, camera, and what stands where.

The same seed gives the same world on every machine. Draws nothing.
"""

from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from math import cos, radians, sin, tau

import numpy as np

from producers.scenes.layout import furnish
from producers.scenes.motion import Sway
from producers.scenes.paints import Colour
from producers.scenes.site import Standing
from producers.scenes.street import Road
from producers.scenes.things import Random

FIELD_OF_VIEW = radians(64)


class Cover(Enum):
    """What the ground is made of."""

    GRASS = auto()
    TILES = auto()
    SAND = auto()
    ASPHALT = auto()
    CHECKER = auto()


@dataclass(frozen=True, slots=True)
class Light:
    """One sun and an even sky light; `towards` points from the ground to the sun."""

    towards: tuple[float, float, float]
    sun: Colour
    zenith: Colour
    horizon: Colour
    ambient: float
    shadow: float


@dataclass(frozen=True, slots=True)
class Ground:
    """An endless plane with a pattern of its own, and a road on it."""

    cover: Cover
    colour: Colour
    second: Colour
    cell_m: float
    turn: float
    road: Road | None


@dataclass(frozen=True, slots=True)
class Air:
    """Haze in metres, hills in radians above the horizon, clouds by their drift and offsets."""

    haze_m: float
    hill: float
    cloud: float
    drift: float
    offsets: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class World:
    """Everything a picture needs but the time."""

    light: Light
    ground: Ground
    air: Air
    camera: Sway
    standing: tuple[Standing, ...]


@dataclass(frozen=True, slots=True)
class _Mood:
    zenith: Colour
    horizon: Colour
    sun: Colour
    ambient: float
    elevation: tuple[float, float]
    shadow: float = 0.9


_MOODS = (
    _Mood((0.20, 0.43, 0.85), (0.74, 0.86, 0.96), (1.0, 0.96, 0.88), 0.42, (30, 65)),
    _Mood((0.20, 0.43, 0.85), (0.74, 0.86, 0.96), (1.0, 0.96, 0.88), 0.42, (30, 65)),
    _Mood((0.25, 0.22, 0.45), (1.0, 0.62, 0.38), (1.0, 0.72, 0.48), 0.38, (15, 26)),
    _Mood((0.56, 0.62, 0.70), (0.80, 0.82, 0.85), (0.56, 0.56, 0.56), 0.62, (40, 65), 0.5),
    _Mood((0.14, 0.33, 0.48), (0.64, 0.86, 0.84), (0.96, 1.0, 0.93), 0.43, (28, 60)),
    _Mood((0.32, 0.26, 0.5), (0.9, 0.78, 0.86), (1.0, 0.88, 0.86), 0.45, (20, 45)),
)
_BASES: dict[Cover, Colour] = {
    Cover.GRASS: (0.28, 0.41, 0.16),
    Cover.TILES: (0.62, 0.58, 0.54),
    Cover.SAND: (0.74, 0.63, 0.44),
    Cover.ASPHALT: (0.33, 0.33, 0.35),
    Cover.CHECKER: (0.68, 0.68, 0.70),
}


@lru_cache(maxsize=32)
def build_world(seed: int) -> World:
    """The world of a seed, any integer from 0."""
    random = np.random.default_rng((seed, 0xF0A3E))
    mood = _MOODS[int(random.integers(len(_MOODS)))]
    standing, road = furnish(random)
    return World(_light(random, mood), _ground(random, road), _air(random), _camera(random), standing)


def _jitter(random: Random, colour: Colour, by: float = 0.1) -> Colour:
    red, green, blue = (min(1.0, channel * random.uniform(1 - by, 1 + by)) for channel in colour)
    return red, green, blue


def _light(random: Random, mood: _Mood) -> Light:
    high, around = radians(random.uniform(*mood.elevation)), random.uniform(0, tau)
    return Light(
        towards=(cos(high) * sin(around), sin(high), cos(high) * cos(around)),
        sun=_jitter(random, mood.sun),
        zenith=_jitter(random, mood.zenith),
        horizon=_jitter(random, mood.horizon),
        ambient=mood.ambient * random.uniform(0.9, 1.1),
        shadow=mood.shadow,
    )


def _ground(random: Random, road: Road | None) -> Ground:
    covers = (Cover.GRASS, Cover.SAND, Cover.TILES) if road else tuple(Cover)
    cover = covers[int(random.integers(len(covers)))]
    base = _jitter(random, _BASES[cover], 0.18)
    darker = random.uniform(0.5, 0.85)
    second = _jitter(random, (base[0] * darker, base[1] * darker, base[2] * darker))
    return Ground(cover, base, second, random.uniform(0.7, 1.6), random.uniform(0, tau), road)


def _air(random: Random) -> Air:
    offsets = tuple(float(offset) for offset in random.random(6))
    return Air(random.uniform(35, 110), random.uniform(0.02, 0.11), random.uniform(0.2, 0.7), 0.0015, offsets)


def _camera(random: Random) -> Sway:
    height = random.uniform(1.5, 3.2)
    return Sway(
        height_m=height,
        pitch=radians(random.uniform(1, 6) + height * 2.2),
        roll=radians(float(np.clip(random.normal(0, 0.8), -2, 2))),
        yaw_reach=radians(random.uniform(1, 4)),
        shift_m=random.uniform(0, 0.4),
        period_s=random.uniform(14, 24),
        phase=random.uniform(0, tau),
    )
