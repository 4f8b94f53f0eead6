"""Who stands where, and on which path, so that nobody walks through another and most can be seen.

Places are drawn at random and kept when the ground they sweep is free for all time. Metres on the
ground plane: x right, z away from the camera, which stands at (0, 0).
"""

from dataclasses import dataclass, field
from math import atan2, cos, hypot, pi, sin, tau

import numpy as np

from producers.scenes import things
from producers.scenes.motion import Bounce, Lane, Loop, Motion, Roll, Still
from producers.scenes.things import Builder, Random, Thing

CLUTTER = -1
_HALF_VIEW = 0.56
_KEEP_CLEAR_M = 2.3
_LANE_M = 1.5


@dataclass(frozen=True, slots=True)
class Road:
    """A straight road through (x, z) along `heading`."""

    x: float
    z: float
    heading: float
    half_width_m: float = 2.9


@dataclass(frozen=True, slots=True)
class Standing:
    """A thing on its path; `class_id` is its place in the list of known things, -1 for clutter."""

    class_id: int
    thing: Thing
    motion: Motion


@dataclass(slots=True)
class _Site:
    """What is placed so far: discs (x, z, radius) on the ground and the angles they hide."""

    discs: list[tuple[float, float, float]] = field(default_factory=lambda: [(0.0, 0.0, _KEEP_CLEAR_M)])
    views: list[tuple[float, float]] = field(default_factory=list)
    standing: list[Standing] = field(default_factory=list)

    def free(self, discs: list[tuple[float, float, float]]) -> bool:
        taken, wanted = np.array(self.discs), np.array(discs)
        apart = np.hypot(taken[:, None, 0] - wanted[None, :, 0], taken[:, None, 1] - wanted[None, :, 1])
        return bool((apart > taken[:, None, 2] + wanted[None, :, 2] + 0.12).all())

    def hidden(self, view: tuple[float, float]) -> float:
        """The largest share of a view that one earlier thing takes."""
        overlaps = (min(view[1], high) - max(view[0], low) for low, high in self.views)
        return max(overlaps, default=0.0) / (view[1] - view[0])

    def put(self, class_id: int, thing: Thing, motion: Motion) -> None:
        self.discs += _sweep(thing, motion)
        self.standing.append(Standing(class_id, thing, motion))


def furnish(random: Random) -> tuple[tuple[Standing, ...], Road | None]:
    """Draw a street or a yard with everything on it."""
    site = _Site()
    road = _lay_street(random, site) if random.random() < 0.5 else None
    if road is None:
        _send_round(random, site)
    _fill(random, site, int(random.integers(5, 10)), known=True, far_m=17.0)
    _fill(random, site, int(random.integers(2, 7)), known=False, far_m=34.0)
    return tuple(site.standing), road


def _sweep(thing: Thing, motion: Motion) -> list[tuple[float, float, float]]:
    path = motion.sweep()
    if len(path) > 1:
        radius = max(radius for _, radius in thing.discs)
        return [(x, z, radius) for x, z in path]
    heading = motion.at(0.0).heading
    return [
        (path[0][0] + sin(heading) * along, path[0][1] + cos(heading) * along, r) for along, r in thing.discs
    ]


def _view(discs: list[tuple[float, float, float]]) -> tuple[float, float]:
    edges = [(atan2(x, z), r / hypot(x, z)) for x, z, r in discs]
    return min(a - r for a, r in edges), max(a + r for a, r in edges)


def _lay_street(random: Random, site: _Site) -> Road:
    lean = random.uniform(-0.32, 0.32)
    road = Road(0.0, random.uniform(8.5, 15.0), pi / 2 + lean)
    car = _class_of("car")
    for side in (-1, 1):
        heading = road.heading + (0.0 if side < 0 else pi)
        speed, count = random.uniform(2.5, 6.0), int(random.integers(1, 5))
        _queue(random, site, car, (things.car, _beside(road, side * _LANE_M), heading, speed, count, 72.0))
    for side in (-1, 1):
        if random.random() < 0.7:
            heading = road.heading + (0.0 if random.random() < 0.5 else pi)
            offset = side * (road.half_width_m + 1.0)
            walk = (
                things.person,
                _beside(road, offset),
                heading,
                random.uniform(0.9, 1.6),
                int(random.integers(1, 6)),
                56.0,
            )
            _queue(random, site, _class_of("person"), walk)
    for offset in (-road.half_width_m, -_LANE_M, 0.0, _LANE_M, road.half_width_m):
        x, z = _beside(road, offset)
        strip = Lane(x, z, road.heading, 1.0, 0.0, 72.0)
        site.discs += [(x, z, 0.8) for x, z in strip.sweep()]
    _line_up_lamps(random, site, road)
    return road


def _beside(road: Road, offset_m: float) -> tuple[float, float]:
    """A point to the right of the road's direction, its middle being in front of the camera."""
    return road.x + cos(road.heading) * offset_m, road.z - sin(road.heading) * offset_m


Queue = tuple[Builder, tuple[float, float], float, float, int, float]


def _queue(random: Random, site: _Site, class_id: int, queue: Queue) -> None:
    """Things one behind another on a lane, equally fast, never closer than their share of 60 %."""
    build, (x, z), heading, speed, count, length = queue
    gap = length / max(count, 1)
    for index in range(count):
        start = (index + random.uniform(-0.2, 0.2)) * gap
        site.put(class_id, build(random), Lane(x, z, heading, speed, start, length))


def _line_up_lamps(random: Random, site: _Site, road: Road) -> None:
    if random.random() < 0.5:
        return
    first, spacing = random.uniform(-6, 0), random.uniform(9, 13)
    x, z = _beside(road, -(road.half_width_m + 0.35))
    for index in range(-1, 3):
        along = first + index * spacing
        place = Still(x + sin(road.heading) * along, z + cos(road.heading) * along, road.heading + pi / 2)
        site.put(CLUTTER, things.lamp_post(np.random.default_rng(11)), place)


def _send_round(random: Random, site: _Site) -> None:
    """Cars and people on closed rounds of a yard."""
    for name, build, chance, sizes, speeds in (
        ("car", things.car, 0.6, (5.0, 8.0), (1.5, 3.5)),
        ("person", things.person, 0.8, (1.0, 2.6), (0.8, 1.4)),
        ("person", things.person, 0.5, (0.8, 2.0), (0.8, 1.4)),
    ):
        if random.random() > chance:
            continue
        for _ in range(10):
            wide, deep = random.uniform(*sizes), random.uniform(*sizes) * 0.75
            z = random.uniform(4.5 + deep, 15.0)
            x = z * random.uniform(-0.5, 0.5)
            way = 1 if random.random() < 0.5 else -1
            loop = Loop(
                x,
                z,
                wide,
                deep,
                random.uniform(-0.4, 0.4),
                way * random.uniform(*speeds),
                random.uniform(0, tau),
            )
            thing = build(random)
            if site.free(_sweep(thing, loop)):
                site.put(_class_of(name), thing, loop)
                break


def _class_of(name: str) -> int:
    return [label for label, _ in things.KNOWN].index(name)


def _fill(random: Random, site: _Site, count: int, *, known: bool, far_m: float) -> None:
    for _ in range(count):
        class_id = int(random.integers(len(things.KNOWN))) if known else CLUTTER
        build = things.KNOWN[class_id][1] if known else _clutter(random)
        thing = build(random)
        for _ in range(14):
            motion = _somewhere(random, thing, class_id, far_m)
            discs = _sweep(thing, motion)
            if not site.free(discs):
                continue
            view = _view(discs)
            if known and site.hidden(view) > 0.35 and random.random() < 0.85:
                continue
            site.put(class_id, thing, motion)
            if known:
                site.views.append(view)
            break


def _clutter(random: Random) -> Builder:
    builders = (
        things.tree,
        things.tree,
        things.bush,
        things.rock,
        things.wall,
        things.house,
        things.lamp_post,
    )
    return builders[int(random.integers(len(builders)))]


def _somewhere(random: Random, thing: Thing, class_id: int, far_m: float) -> Motion:
    reach = max(abs(along) + radius for along, radius in thing.discs)
    near = 3.2 + reach * 1.3 if class_id != CLUTTER else 6.0 + reach * 1.5
    z = 1 / random.uniform(1 / far_m, 1 / near)
    if class_id == CLUTTER:
        z = random.uniform(near, max(near, far_m))
    x = z * _HALF_VIEW * random.uniform(-1.0, 1.0)
    heading = random.uniform(0, tau)
    if class_id == CLUTTER:
        heading = random.uniform(-0.5, 0.5)
    if class_id != _class_of("ball") or random.random() < 0.3:
        return Still(x, z, heading)
    if random.random() < 0.35:
        return Bounce(x, z, heading, random.uniform(0.4, 1.4), random.random())
    reach_m = random.uniform(0.5, 1.8)
    return Roll(x, z, heading, reach_m, 2.2 * reach_m + random.uniform(2, 4), random.uniform(0, tau))
