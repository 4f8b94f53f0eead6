"""A street: a road across the view with traffic on both lanes, people on the pavements, lamps.

Whoever leaves at one end comes again from the other, both out of sight.
"""

from dataclasses import dataclass
from math import cos, pi, sin

import numpy as np

from producers.scenes import things
from producers.scenes.motion import Lane, Still
from producers.scenes.site import CLUTTER, Site, class_of
from producers.scenes.things import Builder, Random

_LANE_M = 1.5
_CARS_LENGTH_M, _WALK_LENGTH_M = 72.0, 56.0
_LEAN = 0.32
_STRIP_M = 0.8


@dataclass(frozen=True, slots=True)
class Road:
    """A straight road through (x, z) along `heading`."""

    x: float
    z: float
    heading: float
    half_width_m: float = 2.9

    def beside(self, offset_m: float, along_m: float = 0.0) -> tuple[float, float]:
        """The point so far to the right of its middle line and so far along it, (x, z)."""
        s, c = sin(self.heading), cos(self.heading)
        return self.x + c * offset_m + s * along_m, self.z - s * offset_m + c * along_m


@dataclass(frozen=True, slots=True)
class _Queue:
    """Things of one kind, one behind another, equally fast."""

    name: str
    build: Builder
    offset_m: float
    backwards: bool
    speed_mps: float
    count: int
    length_m: float


def lay_street(random: Random, site: Site) -> Road:
    """Draw a street into an empty site."""
    lean = random.uniform(-_LEAN, _LEAN)
    road = Road(0.0, random.uniform(8.5, 15.0), pi / 2 + lean)
    for side in (-1, 1):
        speed, count = random.uniform(2.5, 6.0), int(random.integers(1, 5))
        cars = _Queue("car", things.car, side * _LANE_M, side > 0, speed, count, _CARS_LENGTH_M)
        _send(random, site, road, cars)
    for side in (-1, 1):
        if random.random() < 0.7:
            backwards, offset = random.random() >= 0.5, side * (road.half_width_m + 1.0)
            speed, count = random.uniform(0.9, 1.6), int(random.integers(1, 6))
            people = _Queue("person", things.person, offset, backwards, speed, count, _WALK_LENGTH_M)
            _send(random, site, road, people)
    _take(site, road)
    _line_up_lamps(random, site, road)
    return road


def _send(random: Random, site: Site, road: Road, queue: _Queue) -> None:
    """Put a queue on its way, nobody closer to the next than 60 % of an even share."""
    x, z = road.beside(queue.offset_m)
    heading = road.heading + (pi if queue.backwards else 0.0)
    gap = queue.length_m / queue.count
    for index in range(queue.count):
        start = (index + random.uniform(-0.2, 0.2)) * gap
        lane = Lane(x, z, heading, queue.speed_mps, start, queue.length_m)
        site.put(class_of(queue.name), queue.build(random), lane)


def _take(site: Site, road: Road) -> None:
    """Keep the whole road free of what is placed later."""
    for offset in (-road.half_width_m, -_LANE_M, 0.0, _LANE_M, road.half_width_m):
        x, z = road.beside(offset)
        strip = Lane(x, z, road.heading, 1.0, 0.0, _CARS_LENGTH_M)
        site.taken += [(x, z, _STRIP_M) for x, z in strip.sweep()]


def _line_up_lamps(random: Random, site: Site, road: Road) -> None:
    """Equal lamp posts along the far kerb of every second street."""
    if random.random() < 0.5:
        return
    first, spacing = random.uniform(-6, 0), random.uniform(9, 13)
    for index in range(-1, 3):
        x, z = road.beside(-(road.half_width_m + 0.35), first + index * spacing)
        post = things.lamp_post(np.random.default_rng(11))
        site.put(CLUTTER, post, Still(x, z, road.heading + pi / 2))
