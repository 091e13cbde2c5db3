"""CSVR velocity rescaling of one ASE structure, between time steps of reference dynamics."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from ase import Atoms

from forcefree.csvr import rescaling_factor
from forcefree.data.trajectory import Trajectory
from forcefree.reference.config import ReferenceConfig
from forcefree.state import State
from forcefree.temperature import Conserved, degrees_of_freedom
from forcefree.units import BOLTZMANN


def conserved_by(config: ReferenceConfig) -> Conserved:
    """What every run of a configuration keeps at zero; a periodic system has no rotation to lose."""
    return "momentum" if config.rotation else "momentum and rotation"


def count_freedom(atoms: Atoms, config: ReferenceConfig) -> float:
    """Velocity degrees of freedom of a run in motion: 3N - 3, or 3N - 6 for an isolated molecule without rotation.

    Raises:
        ForcefreeError: If none is left, as for a single atom.
    """
    return _freedom(atoms, conserved_by(config))


def count_freedom_at(trajectory: Trajectory, *, rotation: bool) -> float:
    """As :func:`count_freedom`, for a run that is already recorded."""
    atoms = Atoms(trajectory.numbers, trajectory.positions[0], masses=trajectory.masses, cell=trajectory.cell, pbc=trajectory.pbc)
    return _freedom(atoms, "momentum" if rotation else "momentum and rotation")


def _freedom(atoms: Atoms, conserved: Conserved) -> float:
    return float(degrees_of_freedom(State.from_atoms([atoms]), conserved, bending=True)[0])


@dataclass(frozen=True)
class Rescaling:
    """CSVR for one run.

    Attributes:
        temperature: K.
        freedom: Velocity degrees of freedom.
        decay: exp(-time step / relaxation time).
        rng: Random numbers of this run.
    """

    temperature: float
    freedom: float
    decay: float
    rng: np.random.Generator

    @classmethod
    def of(cls, config: ReferenceConfig, temperature: float, atoms: Atoms, rng: np.random.Generator) -> Rescaling:
        """The thermostat that a configuration asks for."""
        decay = math.exp(-config.timestep / config.recording.thermostat_time)
        return cls(temperature, count_freedom(atoms, config), decay, rng)

    def apply(self, atoms: Atoms) -> None:
        """Multiply all momenta by the canonical factor."""
        mean_kinetic = 0.5 * self.freedom * BOLTZMANN * self.temperature
        normal = self.rng.standard_normal()
        rest = self.rng.chisquare(self.freedom - 1.0) if self.freedom > 1.0 else 0.0
        factor = rescaling_factor(
            torch.tensor([atoms.get_kinetic_energy() / mean_kinetic], dtype=torch.float64),
            torch.tensor([self.freedom], dtype=torch.float64),
            self.decay,
            torch.tensor([normal], dtype=torch.float64),
            torch.tensor([rest], dtype=torch.float64),
        )
        atoms.set_momenta(atoms.get_momenta() * float(factor))
