"""How things move: where one stands at a time, for ever, without a jump anybody could see.

Every path is a closed form of time, so any moment can be drawn without the ones before it. Lengths in
metres, angles in radians, x right, y up, z away from the camera.
"""

from dataclasses import dataclass
from math import atan2, cos, sin, tau
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Pose:
    """Where a thing stands and looks; `travelled_m` turns wheels and swings legs."""

    x: float
    y: float
    z: float
    heading: float
    travelled_m: float = 0.0


class Motion(Protocol):
    """A path through the world."""

    def at(self, t_s: float) -> Pose:
        """The pose at a time in seconds."""

    def sweep(self) -> list[tuple[float, float]]:
        """Points (x, z) that together cover the whole path."""


@dataclass(frozen=True, slots=True)
class Still:
    """Stands where it stands."""

    x: float
    z: float
    heading: float

    def at(self, t_s: float) -> Pose:
        """The pose at a time in seconds."""
        return Pose(self.x, 0.0, self.z, self.heading)

    def sweep(self) -> list[tuple[float, float]]:
        """Points (x, z) along the whole path."""
        return [(self.x, self.z)]


@dataclass(frozen=True, slots=True)
class Lane:
    """Drives along a straight line and comes again from its far end, which must lie out of sight."""

    x: float
    z: float
    heading: float
    speed_mps: float
    start_m: float
    length_m: float

    def at(self, t_s: float) -> Pose:
        """The pose at a time in seconds."""
        travelled = self.start_m + self.speed_mps * t_s
        along = travelled % self.length_m - self.length_m / 2
        return Pose(
            self.x + sin(self.heading) * along,
            0.0,
            self.z + cos(self.heading) * along,
            self.heading,
            travelled,
        )

    def sweep(self) -> list[tuple[float, float]]:
        """Points (x, z) along the whole path."""
        steps = int(self.length_m)
        offsets = [self.length_m * (step / steps - 0.5) for step in range(steps + 1)]
        return [(self.x + sin(self.heading) * m, self.z + cos(self.heading) * m) for m in offsets]


@dataclass(frozen=True, slots=True)
class Loop:
    """Goes round an ellipse, looking where it goes; a negative speed goes clockwise."""

    x: float
    z: float
    wide_m: float
    deep_m: float
    turn: float
    speed_mps: float
    phase: float

    def at(self, t_s: float) -> Pose:
        """The pose at a time in seconds."""
        rate = self.speed_mps / ((self.wide_m + self.deep_m) / 2)
        angle = self.phase + rate * t_s
        x, z = self._point(angle)
        ahead_x, ahead_z = self._point(angle + 0.01 * (1 if rate > 0 else -1))
        return Pose(x, 0.0, z, atan2(ahead_x - x, ahead_z - z), abs(self.speed_mps) * t_s)

    def sweep(self) -> list[tuple[float, float]]:
        """Points (x, z) along the whole path."""
        steps = max(12, int(tau * max(self.wide_m, self.deep_m)))
        return [self._point(tau * step / steps) for step in range(steps)]

    def _point(self, angle: float) -> tuple[float, float]:
        across, along = self.wide_m * cos(angle), self.deep_m * sin(angle)
        return (
            self.x + across * cos(self.turn) - along * sin(self.turn),
            self.z + across * sin(self.turn) + along * cos(self.turn),
        )


@dataclass(frozen=True, slots=True)
class Roll:
    """Rolls to and fro along a line, slower towards its ends."""

    x: float
    z: float
    heading: float
    reach_m: float
    period_s: float
    phase: float

    def at(self, t_s: float) -> Pose:
        """The pose at a time in seconds."""
        along = self.reach_m * sin(tau * t_s / self.period_s + self.phase)
        return Pose(
            self.x + sin(self.heading) * along, 0.0, self.z + cos(self.heading) * along, self.heading, along
        )

    def sweep(self) -> list[tuple[float, float]]:
        """Points (x, z) along the whole path."""
        offsets = [self.reach_m * (step / 4 - 1) for step in range(9)]
        return [(self.x + sin(self.heading) * m, self.z + cos(self.heading) * m) for m in offsets]


@dataclass(frozen=True, slots=True)
class Bounce:
    """Jumps on the spot as high as `height_m`, as gravity has it."""

    x: float
    z: float
    heading: float
    height_m: float
    phase: float

    def at(self, t_s: float) -> Pose:
        """The pose at a time in seconds."""
        period_s = 2 * (2 * self.height_m / 9.81) ** 0.5
        part = (t_s / period_s + self.phase) % 1.0
        return Pose(self.x, self.height_m * 4 * part * (1 - part), self.z, self.heading)

    def sweep(self) -> list[tuple[float, float]]:
        """Points (x, z) along the whole path."""
        return [(self.x, self.z)]


@dataclass(frozen=True, slots=True)
class Sway:
    """A camera on a slow hand: it swings and shifts a little and never leaves its place."""

    height_m: float
    pitch: float
    roll: float
    yaw_reach: float
    shift_m: float
    period_s: float
    phase: float

    def at(self, t_s: float) -> tuple[float, float, float, float]:
        """Shift to the right and height in metres, yaw and pitch in radians at a time in seconds."""
        turn = tau * t_s / self.period_s
        return (
            self.shift_m * sin(turn * 0.61 + self.phase),
            self.height_m + 0.04 * sin(turn * 1.7),
            self.yaw_reach * sin(turn + self.phase),
            self.pitch + 0.006 * sin(turn * 1.3 + 2 * self.phase),
        )


def stride_phase(travelled_m: float, stride_m: float) -> float:
    """Swing of a leg from -1 to 1 after so many metres."""
    return sin(tau * travelled_m / stride_m)
