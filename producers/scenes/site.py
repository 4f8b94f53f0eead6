"""The ground while a world is furnished: what is taken, what is hidden, what stands already.

Metres on the ground plane: x right, z away from the camera, which stands at (0, 0).
"""

from dataclasses import dataclass, field
from math import atan2, cos, hypot, sin

import numpy as np

from producers.scenes import things
from producers.scenes.motion import Motion
from producers.scenes.things import Thing

CLUTTER = -1
_KEEP_CLEAR_M = 2.3
_APART_M = 0.12

Disc = tuple[float, float, float]
"""x, z, radius."""
Sector = tuple[float, float]
"""The angles between which something is seen from the camera."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A thing on its path; `class_id` is its place in the list of known things, -1 for clutter."""

    class_id: int
    thing: Thing
    motion: Motion


@dataclass(slots=True)
class Site:
    """What is placed so far: discs on the ground and the sectors that known things hide."""

    taken: list[Disc] = field(default_factory=lambda: [(0.0, 0.0, _KEEP_CLEAR_M)])
    sectors: list[Sector] = field(default_factory=list)
    standing: list[Standing] = field(default_factory=list)

    def free(self, discs: list[Disc]) -> bool:
        """Whether none of the discs touches what is taken."""
        taken, wanted = np.array(self.taken), np.array(discs)
        apart = np.hypot(taken[:, None, 0] - wanted[None, :, 0], taken[:, None, 1] - wanted[None, :, 1])
        return bool((apart > taken[:, None, 2] + wanted[None, :, 2] + _APART_M).all())

    def hidden(self, sector: Sector) -> float:
        """The largest share of a sector that one earlier thing takes."""
        shared = (min(sector[1], high) - max(sector[0], low) for low, high in self.sectors)
        return max(shared, default=0.0) / (sector[1] - sector[0])

    def put(self, class_id: int, thing: Thing, motion: Motion) -> None:
        """Let a thing stand here and take the ground it sweeps."""
        self.taken += sweep(thing, motion)
        self.standing.append(Standing(class_id, thing, motion))


def sweep(thing: Thing, motion: Motion) -> list[Disc]:
    """All the ground that a thing covers on its path, for all time."""
    path = motion.sweep()
    if len(path) > 1:
        radius = max(radius for _, radius in thing.discs)
        return [(x, z, radius) for x, z in path]
    (x, z), heading = path[0], motion.at(0.0).heading
    return [(x + sin(heading) * along, z + cos(heading) * along, radius) for along, radius in thing.discs]


def sector_of(discs: list[Disc]) -> Sector:
    """The angles that discs take, seen from the camera."""
    edges = [(atan2(x, z), radius / hypot(x, z)) for x, z, radius in discs]
    return min(middle - half for middle, half in edges), max(middle + half for middle, half in edges)


def class_of(name: str) -> int:
    """The class id of a known thing."""
    return [label for label, _ in things.KNOWN].index(name)
