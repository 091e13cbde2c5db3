"""A small crystal of copper with honest dynamics (EMT, 32 atoms)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution, Stationary
from ase.md.verlet import VelocityVerlet

from forcefree.data.h5md import write_store
from forcefree.data.trajectory import Trajectory

TIMESTEP = 2.0
CALCULATOR = {"name": "emt", "options": {}}


def crystal() -> Atoms:
    """2 x 2 x 2 cubic cells."""
    return bulk("Cu", "fcc", a=3.6, cubic=True).repeat(2)


def run(seed: int, frames: int, *, every: int = 1, temperature: float = 300.0, ensemble: str = "nve") -> Trajectory:
    """Velocity Verlet at 2 fs from the lattice at twice the temperature, 100 fs later."""
    atoms = crystal()
    atoms.calc = EMT()
    MaxwellBoltzmannDistribution(atoms, temperature_K=2.0 * temperature, rng=np.random.default_rng(seed))
    Stationary(atoms)
    verlet = VelocityVerlet(atoms, TIMESTEP * units.fs)
    verlet.run(50)
    kept = []
    for frame in range(frames):
        verlet.run(every if frame else 0)
        kept.append((atoms.positions.copy(), atoms.get_velocities() * units.fs))
    positions, velocities = (np.stack(column) for column in zip(*kept, strict=True))
    return Trajectory(
        f"run_{seed:04d}",
        atoms.numbers.astype(np.int64),
        atoms.get_masses(),
        TIMESTEP * every * np.arange(frames),
        positions,
        velocities,
        cell=atoms.cell.array,
        pbc=atoms.pbc,
        provenance={
            "temperature": temperature, "ensemble": ensemble, "level_of_theory": "EMT", "calculator": CALCULATOR, "timestep": TIMESTEP,
        },
    )  # fmt: skip


def runs(count: int, frames: int, *, every: int = 1, ensemble: str = "nve") -> list[Trajectory]:
    """Several of them, with seeds of their own."""
    return [run(seed, frames, every=every, ensemble=ensemble) for seed in range(count)]


def store(path: Path, found: list[Trajectory]) -> Path:
    """Write a store and return its path."""
    write_store(path, found)
    return path
