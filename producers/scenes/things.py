"""What stands in the world: balls, crates, barrels, cones, cars, people, and the clutter between them.

Each builder draws one thing from a random generator, standing at the origin and looking along z.
Metres; no placing, no drawing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

import numpy as np

from producers.scenes import paints
from producers.scenes.paints import Colour, Paint
from producers.scenes.shapes import Shape

Random = np.random.Generator
Triple = tuple[float, float, float]


class Joint(Enum):
    """How a part moves as its thing travels."""

    FIXED = auto()
    WHEEL = auto()
    SWING = auto()


@dataclass(frozen=True, slots=True)
class Part:
    """One solid of a thing: centre and half sizes in metres in the frame of the thing."""

    shape: Shape
    centre: Triple
    half: Triple
    paint: Paint
    taper: tuple[float, float] = (1.0, 1.0)
    joint: Joint = Joint.FIXED
    pivot: Triple = (0.0, 0.0, 0.0)
    swing: float = 0.0
    lying: bool = False


class Thing(NamedTuple):
    """Parts that move together; `discs` are (z offset, radius) in metres that cover its footprint."""

    parts: tuple[Part, ...]
    discs: tuple[tuple[float, float], ...]
    stride_m: float = 1.0


Builder = Callable[[Random], Thing]


def hue(
    random: Random, hues: tuple[float, float], strength: tuple[float, float], value: tuple[float, float]
) -> Colour:
    """A colour within bounds of hue, saturation and value, each from 0 to 1."""
    h, s, v = random.uniform(*hues) % 1.0, random.uniform(*strength), random.uniform(*value)
    channels = [v - v * s * max(0.0, min(k, 4 - k, 1.0)) for k in ((n + 6 * h) % 6 for n in (5, 3, 1))]
    return channels[0], channels[1], channels[2]


def dim(colour: Colour, by: float, lift: float = 0.0) -> Colour:
    """The same colour, darker or lighter."""
    red, green, blue = (min(1.0, channel * by + lift) for channel in colour)
    return red, green, blue


def grey(value: float) -> Colour:
    """A colour without hue."""
    return value, value, value


def _offset(random: Random) -> tuple[float, float]:
    return float(random.random()), float(random.random())


def ball(random: Random) -> Thing:
    """Beach balls, footballs, plain and dotted ones, 0.6 to 1.3 m across."""
    radius = random.uniform(0.3, 0.65)
    colour = hue(random, (0, 1), (0.45, 0.95), (0.45, 1.0))
    second = grey(0.92) if random.random() < 0.55 else hue(random, (0, 1), (0.4, 0.95), (0.4, 1.0))
    pattern = (paints.sectors, paints.belt, paints.dots, paints.patches, None)[int(random.integers(5))]
    if pattern is paints.patches:
        colour, second = grey(0.92), grey(0.08)
    paint = Paint(colour, second, pattern, random.uniform(0.2, 0.9), int(random.integers(3, 6)), 0.0)
    part = Part(Shape.BALL, (0, radius, 0), (radius,) * 3, paint, joint=Joint.WHEEL)
    return Thing((part,), ((0.0, radius),))


def crate(random: Random) -> Thing:
    """Wooden boxes, some painted, sometimes two on each other."""
    h = random.uniform(0.32, 0.65)
    w, d = h * random.uniform(0.85, 1.35), h * random.uniform(0.85, 1.35)
    wooden = random.random() < 0.7
    colour = (
        hue(random, (0.05, 0.12), (0.35, 0.7), (0.42, 0.85))
        if wooden
        else hue(random, (0, 1), (0.3, 0.8), (0.35, 0.9))
    )
    pattern = (paints.slats, paints.boards, paints.braces)[int(random.integers(3))]
    paint = Paint(colour, dim(colour, random.uniform(0.42, 0.65)), pattern, 0.05, offset=_offset(random))
    return Thing((Part(Shape.BOX, (0, h, 0), (w, h, d), paint),), ((0.0, float(np.hypot(w, d))),))


def barrel(random: Random) -> Thing:
    """Steel drums with hoops, striped or plain."""
    radius = random.uniform(0.3, 0.5)
    h = radius * random.uniform(1.25, 1.65)
    colour = hue(random, (0, 1), (0.25, 0.95), (0.3, 0.95))
    second = dim(colour, random.uniform(0.35, 0.7)) if random.random() < 0.6 else grey(0.85)
    pattern = paints.hoops if random.random() < 0.75 else paints.stripes
    paint = Paint(colour, second, pattern, random.uniform(0.3, 0.7), 2, offset=_offset(random))
    return Thing((Part(Shape.DRUM, (0, h, 0), (radius, h, radius), paint),), ((0.0, radius),))


def cone(random: Random) -> Thing:
    """Traffic cones, mostly orange and white, on their square foot."""
    radius = random.uniform(0.26, 0.42)
    h = radius * random.uniform(1.2, 1.6)
    usual = random.random() < 0.75
    colour = (
        hue(random, (0.02, 0.08), (0.85, 1.0), (0.85, 1.0))
        if usual
        else hue(random, (0, 1), (0.7, 1.0), (0.7, 1.0))
    )
    pattern = paints.stripes if random.random() < 0.85 else None
    foot = Paint(dim(colour, 0.45), grey(0.1), grain=0.1)
    body = Paint(colour, grey(0.95), pattern, 0.3, 2, 0.1)
    parts = (
        Part(Shape.CONE, (0, h + 0.06, 0), (radius, h, radius), body),
        Part(Shape.BOX, (0, 0.035, 0), (radius * 1.2, 0.035, radius * 1.2), foot),
    )
    return Thing(parts, ((0.0, radius * 1.3),))


def car(random: Random) -> Thing:
    """Saloons, hatchbacks and vans on four turning wheels, with lamps at both ends."""
    long, wide = random.uniform(1.75, 2.15), random.uniform(0.78, 0.9)
    wheel, body = random.uniform(0.3, 0.36), random.uniform(0.26, 0.33)
    van = random.random() < 0.25
    colour = hue(random, (0, 1), (0.0, 0.92), (0.3, 1.0))
    middle = wheel * 0.72 + body
    roof = random.uniform(0.42, 0.5) if van else random.uniform(0.26, 0.32)
    share, shift = (0.8, -0.16) if van else (random.uniform(0.52, 0.64), random.uniform(-0.22, -0.04))
    paint = Paint(colour, dim(colour, 0.5), paints.bodywork, 0.8, grain=0.06)
    glass = Paint((0.06, 0.09, 0.12), colour, paints.glazing, 0.9, grain=0.0)
    parts = [
        Part(Shape.BOX, (0, middle, 0), (wide, body, long), paint),
        Part(
            Shape.WEDGE,
            (0, middle + body + roof, shift * long),
            (wide * 0.93, roof, long * share),
            glass,
            taper=(0.84, 0.86 if van else 0.68),
        ),
    ]
    for z, lamp in ((long, (1.0, 0.96, 0.8)), (-long, (0.85, 0.05, 0.04))):
        bumper = Paint(grey(0.14), lamp, paints.lamps, 0.5, grain=0.0)
        parts.append(Part(Shape.BOX, (0, middle + body * 0.25, z), (wide * 0.95, body * 0.28, 0.03), bumper))
    tyre = Paint(grey(0.04), grey(0.62), paints.spokes, 0.1, grain=0.0)
    for x in (-1, 1):
        for z in (-0.62, 0.62):
            place = (x * (wide - 0.07), wheel, z * long)
            parts.append(Part(Shape.DRUM, place, (wheel, 0.1, wheel), tyre, joint=Joint.WHEEL, lying=True))
    return Thing(tuple(parts), ((-1.25, 1.15), (0.0, 1.0), (1.25, 1.15)))


def person(random: Random) -> Thing:
    """Grown-ups and children in their clothes; arms and legs swing as they walk."""
    k = random.uniform(1.25, 1.92) / 1.75
    broad = random.uniform(0.9, 1.15)
    shirt, trousers = (
        hue(random, (0, 1), (0.2, 0.95), (0.35, 1.0)),
        hue(random, (0, 1), (0.1, 0.6), (0.1, 0.55)),
    )
    skin = dim((1.0, 0.76, 0.6), random.uniform(0.35, 1.0))
    leg = Paint(trousers, grey(0.06), paints.cuff, grain=0.1)
    sleeve = Paint(dim(shirt, 0.9), skin, paints.cuff, grain=0.1)
    striped = paints.stripes if random.random() < 0.35 else None
    trunk = Paint(shirt, dim(shirt, 0.45, 0.35), striped, 0.05, 4, 0.15)
    face = Paint(skin, hue(random, (0.04, 0.12), (0.3, 0.8), (0.05, 0.55)), paints.hair, 0.1, grain=0.0)
    parts = [
        Part(Shape.BALL, (0, 1.16 * k, 0), (0.24 * broad * k, 0.36 * k, 0.16 * broad * k), trunk),
        Part(Shape.BALL, (0, 1.61 * k, 0.01), (0.115 * k, 0.145 * k, 0.125 * k), face),
    ]
    for side in (-1, 1):
        limb = (0.085 * broad * k, 0.43 * k, 0.1 * k)
        hip = (side * 0.105 * broad * k, 0.86 * k, 0.0)
        knee = (hip[0], 0.43 * k, 0.0)
        parts.append(Part(Shape.DRUM, knee, limb, leg, joint=Joint.SWING, pivot=hip, swing=0.42 * side))
        shoulder = (side * 0.255 * broad * k, 1.4 * k, 0.0)
        hand = (shoulder[0], 1.1 * k, 0.0)
        arm = (0.058 * k, 0.31 * k, 0.065 * k)
        parts.append(
            Part(Shape.BALL, hand, arm, sleeve, joint=Joint.SWING, pivot=shoulder, swing=-0.4 * side)
        )
    return Thing(tuple(parts), ((0.0, 0.42 * k),), 1.5 * k)


def rock(random: Random) -> Thing:
    """A boulder, half sunk."""
    s = random.uniform(0.12, 0.4)
    colour = hue(random, (0.05, 0.12), (0.03, 0.2), (0.28, 0.55))
    paint = Paint(colour, dim(colour, 0.6), paints.speckles, offset=_offset(random))
    half = (s, s * 0.6, s * random.uniform(0.7, 1.2))
    return Thing((Part(Shape.BALL, (0, s * 0.3, 0), half, paint),), ((0.0, s * 1.2),))


def tree(random: Random) -> Thing:
    """A trunk and three or four clouds of leaves."""
    trunk, crown = random.uniform(0.9, 1.6), random.uniform(1.0, 1.6)
    leaves = hue(random, (0.2, 0.38), (0.45, 0.8), (0.25, 0.5))
    bark = Paint((0.32, 0.22, 0.13), (0.16, 0.1, 0.06), paints.speckles, offset=_offset(random))
    parts = [Part(Shape.DRUM, (0, trunk, 0), (0.14, trunk, 0.14), bark)]
    for _ in range(int(random.integers(3, 5))):
        foliage = Paint(
            dim(leaves, random.uniform(0.85, 1.2)), dim(leaves, 0.5), paints.speckles, offset=_offset(random)
        )
        x, z, rise = (random.uniform(-0.55, 0.55) * crown for _ in range(3))
        half = (
            crown * random.uniform(0.6, 0.9),
            crown * random.uniform(0.5, 0.75),
            crown * random.uniform(0.6, 0.9),
        )
        parts.append(Part(Shape.BALL, (x, 2 * trunk + crown * 0.5 + rise * 0.7, z), half, foliage))
    return Thing(tuple(parts), ((0.0, 0.5),))


def bush(random: Random) -> Thing:
    """Two low clouds of leaves."""
    s = random.uniform(0.35, 0.7)
    leaves = hue(random, (0.2, 0.4), (0.4, 0.75), (0.22, 0.45))
    paint = Paint(leaves, dim(leaves, 0.5), paints.speckles, offset=_offset(random))
    parts = [
        Part(
            Shape.BALL,
            (x * s, s * 0.45, random.uniform(-0.2, 0.2)),
            (s, s * random.uniform(0.55, 0.8), s * 0.9),
            paint,
        )
        for x in (-0.5, 0.5)
    ]
    return Thing(tuple(parts), ((0.0, s * 1.5),))


def wall(random: Random) -> Thing:
    """A garden wall of bricks under a coping."""
    w, h = random.uniform(1.2, 3.5), random.uniform(0.35, 1.0)
    colour = hue(random, (0.0, 0.12), (0.08, 0.5), (0.4, 0.8))
    paint = Paint(colour, dim(colour, 0.55, 0.15), paints.bricks, offset=_offset(random), size_m=(w, h, 0.14))
    top = Paint(grey(0.6), grey(0.5))
    parts = (
        Part(Shape.BOX, (0, h, 0), (w, h, 0.14), paint),
        Part(Shape.BOX, (0, 2 * h + 0.05, 0), (w + 0.06, 0.05, 0.2), top),
    )
    return Thing(parts, ((0.0, w),))


def lamp_post(random: Random) -> Thing:
    """A post with its lamp over the road."""
    h = random.uniform(1.7, 2.5)
    paint = Paint(grey(random.uniform(0.15, 0.5)), grey(0.3), gloss=0.3, grain=0.0)
    glow = Paint((0.95, 0.93, 0.8), grey(0.9), gloss=0.3, grain=0.0)
    parts = (
        Part(Shape.DRUM, (0, h, 0), (0.065, h, 0.065), paint),
        Part(Shape.BOX, (0, 2 * h, 0.35), (0.07, 0.05, 0.45), paint),
        Part(Shape.BOX, (0, 2 * h - 0.07, 0.62), (0.1, 0.03, 0.18), glow),
    )
    return Thing(parts, ((0.0, 0.3),))


def house(random: Random) -> Thing:
    """A house with windows and a roof, for the background."""
    w, h, d = random.uniform(2.5, 5.0), random.uniform(1.5, 3.2), random.uniform(2.5, 4.0)
    colour = hue(random, (0.02, 0.14), (0.05, 0.45), (0.6, 0.95))
    tiles = hue(random, (0.0, 0.06), (0.3, 0.7), (0.25, 0.5))
    walls = Paint(
        colour, (0.12, 0.16, 0.22), paints.windows, offset=_offset(random), size_m=(w, h, d), grain=0.15
    )
    roof = random.uniform(0.6, 1.3)
    parts = (
        Part(Shape.BOX, (0, h, 0), (w, h, d), walls),
        Part(
            Shape.WEDGE,
            (0, 2 * h + roof, 0),
            (w * 1.06, roof, d * 1.06),
            Paint(tiles, dim(tiles, 0.7), paints.speckles),
            taper=(0.75, 0.05),
        ),
    )
    return Thing(parts, ((0.0, float(np.hypot(w, d))),))


KNOWN: tuple[tuple[str, Builder], ...] = (
    ("ball", ball),
    ("crate", crate),
    ("barrel", barrel),
    ("cone", cone),
    ("car", car),
    ("person", person),
)
