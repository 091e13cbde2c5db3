"""Do imported velocities make sense? Their temperature, and whether atoms move as they say."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch

from forcefree.data.importing.quantities import conversion, likely_velocity_unit
from forcefree.data.trajectory import Floats, Trajectory
from forcefree.data.velocities import kinetic_loss
from forcefree.errors import ForcefreeError
from forcefree.state import State
from forcefree.temperature import kinetic_temperature

_CORRELATED = 0.9
_RESOLVED = 0.9
_OFF = 0.2
_COLDEST = 1.0
_LOSS = 0.05
_ROOM = 300.0
_USUAL = (50.0, 3000.0)


def kinetic_temperatures(trajectory: Trajectory) -> Floats:
    """Temperature of every frame in K, shape (n_frames,), without the motion of the centre of mass.

    Raises:
        ForcefreeError: If the trajectory has no velocities.
    """
    if trajectory.velocities is None:
        raise ForcefreeError(f"trajectory '{trajectory.name}' has no velocities, so it has no temperature")
    frames, atoms = trajectory.positions.shape[:2]
    state = State(
        positions=torch.from_numpy(trajectory.positions.reshape(-1, 3)),
        velocities=torch.from_numpy(trajectory.velocities.reshape(-1, 3)),
        numbers=torch.from_numpy(trajectory.numbers).repeat(frames),
        masses=torch.from_numpy(trajectory.masses).repeat(frames),
        cell=torch.from_numpy(trajectory.cell).expand(frames, 3, 3),
        pbc=torch.from_numpy(trajectory.pbc).expand(frames, 3),
        system=torch.arange(frames).repeat_interleave(atoms),
        time=torch.from_numpy(trajectory.times),
    )
    return np.asarray(kinetic_temperature(state, "momentum" if atoms > 1 else "nothing"))


class Plausibility:
    r"""Watch the blocks of one trajectory and refuse absurd velocities.

    Displacements over the shortest gap are regressed on the mean velocity of both frames,
    :math:`s = \sum \bar v \cdot (\Delta x / \Delta t) / \sum \bar v^2`. A wrong unit or time step leaves them correlated and makes
    s something else than 1. It counts only where velocities of neighbouring frames are alike, so that the motion is
    resolved: a vibration of phase p per frame gives :math:`s = \tan(p/2) / (p/2)`, whatever the units.

    Args:
        path: File named in messages.
        derived: Velocities come from positions, so that only their temperature says something.
        factor: Factor that turned the file's velocities into Å/fs.
        max_temperature: K.
    """

    def __init__(self, path: Path, *, derived: bool, factor: float, max_temperature: float) -> None:
        self.path, self.derived, self.factor, self.max_temperature = path, derived, factor, max_temperature
        self._heat, self._frames = 0.0, 0
        self._sums = np.zeros(5)
        self._gap = math.inf
        self.loss: float | None = None

    @property
    def temperature(self) -> float:
        """Mean temperature in K of the frames seen so far."""
        return self._heat / max(1, self._frames)

    @property
    def slope(self) -> float | None:
        """How far atoms move over how far their velocities say, or None where frames are too far apart to tell."""
        velocity, cross, displacement, _, _ = self._sums
        followed = abs(cross) > _CORRELATED * math.sqrt(velocity * displacement)
        return float(cross / velocity) if followed and self._resolved else None

    @property
    def _resolved(self) -> bool:
        """Whether velocities change little from frame to frame."""
        *_, along, square = self._sums
        return bool(along > _RESOLVED * square)

    def add(self, trajectory: Trajectory) -> None:
        """Take the next frames, with unwrapped positions, into account."""
        if trajectory.velocities is None or len(trajectory) == 0:
            return
        temperatures = kinetic_temperatures(trajectory)
        self._heat += float(temperatures.sum())
        self._frames += len(trajectory)
        if self.derived:
            loss = kinetic_loss(trajectory)
            self.loss = loss if self.loss is None else self.loss
            return
        gaps = np.diff(trajectory.times)
        if len(gaps):
            self._gap = min(self._gap, float(gaps.min()))
            near = gaps < 1.5 * self._gap
            first, second = trajectory.velocities[:-1][near], trajectory.velocities[1:][near]
            mean = 0.5 * (first + second)
            moved = (np.diff(trajectory.positions, axis=0) / gaps[:, None, None])[near]
            pairs = ((mean, mean), (mean, moved), (moved, moved), (first, second), (first, first))
            self._sums += np.array([float((one * two).sum()) for one, two in pairs])

    def verify(self) -> None:
        """Judge what was seen so far.

        Raises:
            ForcefreeError: If velocities are zero though atoms move, disagree with displacements, or give an absurd temperature.
        """
        if self._frames == 0:
            return
        if self.derived:
            self._verify_derived()
            return
        velocity, _, displacement, _, _ = self._sums
        if velocity == 0.0 and displacement > 0.0:
            raise ForcefreeError(f"{self.path} has velocities that are all zero although its atoms move; use --velocities derive")
        slope, hint = self.slope, self._hint()
        if slope is not None and slope < 0.0:
            raise ForcefreeError(f"{self.path} has velocities that point against the motion of its atoms; are its frames in reverse order?")
        if slope is not None and abs(slope - 1.0) > _OFF:
            raise ForcefreeError(
                f"{self.path} has velocities of {self.temperature:.3g} K, but its atoms move {slope:.3g} times as far as they say{hint}"
            )
        if slope is None and self._resolved and velocity * displacement > 0.0:
            raise ForcefreeError(f"{self.path} has velocities that its atoms do not follow; are atoms or frames in another order?")
        if self.temperature > self.max_temperature or (slope is None and 0.0 < self.temperature < _COLDEST):
            raise ForcefreeError(f"{self.path} has velocities of {self.temperature:.3g} K, which is no temperature of matter{hint}")

    def _verify_derived(self) -> None:
        if self.loss is not None and self.loss > _LOSS:
            raise ForcefreeError(
                f"{self.path} has frames too far apart (or too coarsely rounded) for central differences, which would lose over "
                f"{100 * self.loss:.0f} % of the kinetic energy; record velocities, write frames more often, or use --velocities none"
            )
        if self.temperature > self.max_temperature:
            raise ForcefreeError(
                f"{self.path} has positions whose central differences give {self.temperature:.3g} K; check --timestep and --length-unit, "
                "or import with --velocities none"
            )

    def _hint(self) -> str:
        """What would make the numbers right, by displacements or else by a temperature near 300 K."""
        slope = self.slope
        if slope is not None and _USUAL[0] < self.temperature < _USUAL[1]:
            return f"; check --timestep (frames {self._gap * slope:.3g} instead of {self._gap:.3g} fs apart would fit) and --length-unit"
        if slope is not None:
            unit = likely_velocity_unit(slope, self.factor)
        else:
            names = ("A/fs", "A/ps", "nm/ps", "ase", "bohr/aut")
            heat = {name: self.temperature * (conversion(name, "velocity") / self.factor) ** 2 for name in names}
            unit = min(heat, key=lambda name: abs(math.log(heat[name] / _ROOM)))
        return f"; they are probably in {unit}, so give --velocity-unit {unit}" if unit is not None else "; check units and --timestep"
