"""Who stands where, and on which path, so that nobody walks through another and most can be seen.

Places are drawn at random and kept when the ground they sweep is free for all time. Metres on the
ground plane: x right, z away from the camera, which stands at (0, 0).
"""

from dataclasses import dataclass
from math import tau

from producers.scenes import things
from producers.scenes.motion import Bounce, Loop, Motion, Roll, Still
from producers.scenes.site import CLUTTER, Site, Standing, class_of, sector_of, sweep
from producers.scenes.street import Road, lay_street
from producers.scenes.things import Builder, Random, Thing

_HALF_VIEW = 0.56
_KNOWN_FAR_M, _CLUTTER_FAR_M = 17.0, 34.0
_TRIES = 14
_CLUTTER: tuple[Builder, ...] = (
    things.tree,
    things.tree,
    things.bush,
    things.rock,
    things.wall,
    things.house,
    things.lamp_post,
)


@dataclass(frozen=True, slots=True)
class _Round:
    """Who may go round in a yard: how likely, how wide (metres), how fast (metres per second)."""

    name: str
    build: Builder
    chance: float
    wide_m: tuple[float, float]
    speed_mps: tuple[float, float]


_ROUNDS = (
    _Round("car", things.car, 0.6, (5.0, 8.0), (1.5, 3.5)),
    _Round("person", things.person, 0.8, (1.0, 2.6), (0.8, 1.4)),
    _Round("person", things.person, 0.5, (0.8, 2.0), (0.8, 1.4)),
)


def furnish(random: Random) -> tuple[tuple[Standing, ...], Road | None]:
    """Draw a street or a yard with everything on it."""
    site = Site()
    road = lay_street(random, site) if random.random() < 0.5 else None
    if road is None:
        _send_round(random, site)
    for _ in range(int(random.integers(5, 10))):
        _stand_known(random, site)
    for _ in range(int(random.integers(2, 7))):
        _stand_clutter(random, site)
    return tuple(site.standing), road


def _send_round(random: Random, site: Site) -> None:
    """Cars and people on closed rounds of a yard."""
    for one in _ROUNDS:
        if random.random() > one.chance:
            continue
        for _ in range(10):
            loop, thing = _loop(random, one), one.build(random)
            if site.free(sweep(thing, loop)):
                site.put(class_of(one.name), thing, loop)
                break


def _loop(random: Random, one: _Round) -> Loop:
    wide, deep = random.uniform(*one.wide_m), random.uniform(*one.wide_m) * 0.75
    z = random.uniform(4.5 + deep, 15.0)
    x = z * random.uniform(-0.5, 0.5)
    way = 1 if random.random() < 0.5 else -1
    turn, speed = random.uniform(-0.4, 0.4), way * random.uniform(*one.speed_mps)
    return Loop(x, z, wide, deep, turn, speed, random.uniform(0, tau))


def _stand_known(random: Random, site: Site) -> None:
    """Put a thing with a name where it is free and, mostly, to be seen."""
    class_id = int(random.integers(len(things.KNOWN)))
    label, build = things.KNOWN[class_id]
    thing = build(random)
    for _ in range(_TRIES):
        motion = _place_known(random, thing, label)
        discs = sweep(thing, motion)
        if not site.free(discs):
            continue
        sector = sector_of(discs)
        if site.hidden(sector) > 0.35 and random.random() < 0.85:
            continue
        site.put(class_id, thing, motion)
        site.sectors.append(sector)
        return


def _place_known(random: Random, thing: Thing, label: str) -> Motion:
    """Near places are likelier than far ones; most balls roll or bounce."""
    nearest = 3.2 + _reach(thing) * 1.3
    z = 1 / random.uniform(1 / _KNOWN_FAR_M, 1 / nearest)
    x = z * _HALF_VIEW * random.uniform(-1.0, 1.0)
    heading = random.uniform(0, tau)
    if label != "ball" or random.random() < 0.3:
        return Still(x, z, heading)
    if random.random() < 0.35:
        return Bounce(x, z, heading, random.uniform(0.4, 1.4), random.random())
    reach_m = random.uniform(0.5, 1.8)
    return Roll(x, z, heading, reach_m, 2.2 * reach_m + random.uniform(2, 4), random.uniform(0, tau))


def _stand_clutter(random: Random, site: Site) -> None:
    """Put scenery without a name, facing the camera roughly, behind the nearest things."""
    thing = _CLUTTER[int(random.integers(len(_CLUTTER)))](random)
    nearest = 6.0 + _reach(thing) * 1.5
    for _ in range(_TRIES):
        z = random.uniform(nearest, max(nearest, _CLUTTER_FAR_M))
        x = z * _HALF_VIEW * random.uniform(-1.0, 1.0)
        place = Still(x, z, random.uniform(-0.5, 0.5))
        if site.free(sweep(thing, place)):
            site.put(CLUTTER, thing, place)
            return


def _reach(thing: Thing) -> float:
    return max(abs(along) + radius for along, radius in thing.discs)
