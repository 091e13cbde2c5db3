"""Surrogates of the MD17 trajectories: the same form and thermostat, from the sGDML fields that MD17's authors fitted to them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from numpy.typing import NDArray

from forcefree.csvr import rescaling_factor
from forcefree.data.importing.md17 import MD17_SPACING
from forcefree.data.trajectory import Floats
from forcefree.errors import ForcefreeError
from forcefree.reference.sgdml import load_model
from forcefree.reference.sgdml_field import GradientDomainField
from forcefree.state import State
from forcefree.streams import Streams
from forcefree.units import BOLTZMANN, KCAL_PER_MOL, KINETIC_UNIT
from forcefree.velocities import maxwell_boltzmann

TEMPERATURE = 500.0
"""K, as MD17."""

SHORTEST = 30_000
"""Frames; the legacy split leaves 10,000 at either end."""

_EQUILIBRATION = 10_000
_RELAXATION = 100.0  # fs
_RUNAWAY = 20.0  # times the mean kinetic energy


@dataclass
class Dynamics:
    """Velocity Verlet with CSVR for one molecule without momentum or angular momentum.

    Nor have the published trajectories any to speak of: rigid molecules hardly turn in them, and flexible ones turn by moving
    their parts.

    Attributes:
        field: Energy and forces.
        positions: Å, shape (n_atoms, 3).
        velocities: Å/fs, shape (n_atoms, 3).
        masses: amu, shape (n_atoms, 1).
        rng: Random numbers of this trajectory.
    """

    field: Callable[[Floats], tuple[float, Floats]]
    positions: Floats
    velocities: Floats
    masses: Floats
    rng: np.random.Generator

    def __post_init__(self) -> None:
        self._decay = math.exp(-MD17_SPACING / _RELAXATION)
        self._freedom = 3.0 * len(self.positions) - 6.0
        self._mean_kinetic = 0.5 * self._freedom * BOLTZMANN * TEMPERATURE
        self.energy, forces = self.field(self.positions)
        self._kick = 0.5 * MD17_SPACING / (KINETIC_UNIT * self.masses)
        self._forces = forces

    @classmethod
    def start(cls, field: Callable[[Floats], tuple[float, Floats]], positions: Floats, numbers: NDArray[np.int64], seed: int) -> Dynamics:
        """Maxwell-Boltzmann velocities at :data:`TEMPERATURE`, in a molecule of three atoms or more."""
        state = State.from_atoms([Atoms(numbers, positions)])
        state = maxwell_boltzmann(state, TEMPERATURE, Streams(seed, [0]), "momentum and rotation")
        centred = state.positions - state.mean_by_mass(state.positions)
        return cls(field, centred.numpy(), state.velocities.numpy(), state.masses[:, None].numpy(), np.random.default_rng(seed))

    @property
    def kinetic_energy(self) -> float:
        """Total, in eV."""
        return 0.5 * KINETIC_UNIT * float((self.masses * self.velocities**2).sum())

    @property
    def temperature(self) -> float:
        """K."""
        return 2.0 * self.kinetic_energy / (self._freedom * BOLTZMANN)

    def step(self) -> None:
        """One time step of :data:`MD17_SPACING`."""
        self.velocities = self.velocities + self._kick * self._forces
        self.positions = self.positions + MD17_SPACING * self.velocities
        self.energy, self._forces = self.field(self.positions)
        self.velocities = self.velocities + self._kick * self._forces
        ratio, normal, rest = self.kinetic_energy / self._mean_kinetic, self.rng.standard_normal(), self.rng.chisquare(self._freedom - 1.0)
        if not ratio < _RUNAWAY:
            raise ForcefreeError(f"the surrogate dynamics ran away to {self.temperature:.0f} K; the field does not hold at this geometry")
        kinetic, freedom, draw, square = torch.tensor([[ratio], [self._freedom], [normal], [rest]], dtype=torch.float64)
        factor = rescaling_factor(kinetic, freedom, self._decay, draw, square)
        self.velocities = self.velocities * float(factor)


def make_surrogate(model: Path, output: Path, *, frames: int = 250_000, seed: int = 0) -> float:
    """Write an npz file of MD17's form: ``R`` (n_frames, n_atoms, 3) in Å as float32, ``z``, ``E`` in kcal/mol.

    Frames are 0.5 fs apart, at 500 K under CSVR, after 5 ps of equilibration from one of the field's training geometries.

    Args:
        model: sGDML model with its training geometries ``R_train``.
        output: File to write, such as ``md17_ethanol.npz``.
        frames: Length.
        seed: Of the start, the velocities and the thermostat.

    Returns:
        Mean temperature of the trajectory in K.

    Raises:
        ForcefreeError: If the model cannot be used, the trajectory would be too short, or the dynamics runs away.
    """
    if frames < SHORTEST:
        raise ForcefreeError(f"a surrogate of {frames} frames is too short for the protocol; make at least {SHORTEST}, better 200000")
    values = load_model(model)
    if "R_train" not in values:
        raise ForcefreeError(f"{model} has no training geometries R_train to start from; add one as R_train (1, n_atoms, 3)")
    field = GradientDomainField(values)
    geometries = np.asarray(values["R_train"], dtype=np.float64)
    dynamics = Dynamics.start(field, geometries[seed % len(geometries)], field.numbers, seed)
    for _ in range(_EQUILIBRATION):
        dynamics.step()
    positions = np.empty((frames, len(field.numbers), 3), dtype=np.float32)
    energies = np.empty(frames)
    heat = 0.0
    for row in range(frames):
        positions[row], energies[row] = dynamics.positions, dynamics.energy / KCAL_PER_MOL
        heat += dynamics.temperature
        dynamics.step()
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = output.with_name(f".{output.stem}.npz")
    label = f"surrogate: {frames} frames at {TEMPERATURE:g} K (CSVR, {MD17_SPACING:g} fs) on sGDML field {model.name}, seed {seed}"
    np.savez(partial, R=positions, z=field.numbers.astype(np.uint8), E=energies.astype(np.float32), surrogate=np.array(label))
    partial.replace(output)
    return heat / frames
