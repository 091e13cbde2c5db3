"""A little molecule of springs, H-O-O-H, with honest dynamics: many replicas at once, and the same potential as an ASE calculator."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from forcefree.analysis.geometry import distances
from forcefree.data.h5md import write_store
from forcefree.data.trajectory import Trajectory
from forcefree.units import BOLTZMANN, KINETIC_UNIT, WAVENUMBER_PER_INVERSE_FS

MOLECULE = Atoms("OOHH", positions=[[0.0, 0.0, 0.0], [1.45, 0.0, 0.0], [-0.2, 0.95, 0.0], [1.65, -0.36, 0.88]])
FIRST, SECOND = np.triu_indices(4, k=1)
LENGTHS = distances(MOLECULE.positions[SECOND] - MOLECULE.positions[FIRST])
STIFFNESS = np.array([25.0, 40.0, 6.0, 6.0, 40.0, 0.4])
"""eV/Å^2 of OO, OH, O..H, O..H, OH and H..H."""

MASSES = MOLECULE.get_masses()
CALCULATOR = {"name": "networks:Network", "options": {}}
_TIMESTEP = 0.5
_COLLISIONS = 200


def energies_and_forces(positions: np.ndarray, stiffness: np.ndarray = STIFFNESS) -> tuple[np.ndarray, np.ndarray]:
    """eV and eV/Å for positions (n, 4, 3)."""
    arms = positions[:, SECOND] - positions[:, FIRST]
    lengths = distances(arms)
    pull = stiffness * (lengths - LENGTHS)
    along = (pull / lengths)[..., None] * arms
    forces = np.zeros_like(positions)
    for pair, (a, b) in enumerate(zip(FIRST, SECOND, strict=True)):
        forces[:, a] += along[:, pair]
        forces[:, b] -= along[:, pair]
    return 0.5 * (pull * (lengths - LENGTHS)).sum(axis=1), forces


def normal_modes() -> np.ndarray:
    """Harmonic wavenumbers of the six vibrations in cm^-1, from a Hessian by central differences of the forces."""
    start, step = MOLECULE.positions.ravel(), 1e-4
    rows = [energies_and_forces((start + sign * step * np.eye(12)).reshape(12, 4, 3))[1].reshape(12, 12) for sign in (1.0, -1.0)]
    root = np.sqrt(np.repeat(KINETIC_UNIT * MASSES, 3))
    square = np.linalg.eigvalsh((rows[1] - rows[0]) / (2.0 * step) / root[:, None] / root)
    return np.sqrt(square[6:]) / (2.0 * np.pi) * WAVENUMBER_PER_INVERSE_FS


class Network(Calculator):
    """The same springs for one molecule; with ``limit``, refuses molecules whose longest bond is longer."""

    implemented_properties: ClassVar[list[str]] = ["energy", "forces"]

    def __init__(self, limit: float = np.inf, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.limit = limit

    def calculate(self, atoms: Atoms | None = None, properties: Any = ("energy",), system_changes: Any = all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        assert self.atoms is not None
        if distances(self.atoms.positions[1] - self.atoms.positions[0]) > self.limit:
            raise RuntimeError("no convergence")
        energies, forces = energies_and_forces(self.atoms.positions[None])
        self.results = {"energy": float(energies[0]), "forces": forces[0]}


def still(positions: np.ndarray, velocities: np.ndarray) -> np.ndarray:
    """Take momentum and angular momentum out of velocities (n, 4, 3)."""
    share = MASSES[:, None] / MASSES.sum()
    arms = positions - (share * positions).sum(axis=1, keepdims=True)
    velocities = velocities - (share * velocities).sum(axis=1, keepdims=True)
    spin = (MASSES[:, None] * np.cross(arms, velocities)).sum(axis=1)
    square = np.eye(3) * (arms**2).sum(axis=2)[..., None, None] - arms[..., :, None] * arms[..., None, :]
    inertia = (MASSES[:, None, None] * square).sum(axis=1)
    return velocities - np.cross(np.linalg.solve(inertia, spin[..., None])[:, None, :, 0], arms)


def molecular_dynamics(
    runs: int, frames: int, *, every: int = 4, temperature: float = 300.0, seed: int = 0, ensemble: str = "nvt",
    stiffness: np.ndarray = STIFFNESS, **provenance: Any,
) -> list[Trajectory]:  # fmt: skip
    """Runs of velocity Verlet at 0.5 fs from canonical starts; "nvt" draws new velocities every 100 fs."""
    rng = np.random.default_rng(seed)
    spread = np.sqrt(BOLTZMANN * temperature / (KINETIC_UNIT * MASSES))[:, None]
    positions = np.repeat(MOLECULE.positions[None], runs, axis=0)
    velocities = np.zeros_like(positions)
    energies, forces = energies_and_forces(positions, stiffness)
    kept: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    equilibration = 10 * _COLLISIONS
    for step in range(equilibration + every * (frames - 1) + 1):
        if step % _COLLISIONS == 0 and (ensemble == "nvt" or step <= equilibration):
            velocities = still(positions, rng.normal(size=positions.shape) * spread)
        if step >= equilibration and (step - equilibration) % every == 0:
            kept.append((positions, velocities, energies))
        velocities = velocities + 0.5 * _TIMESTEP * forces / (KINETIC_UNIT * MASSES[:, None])
        positions = positions + _TIMESTEP * velocities
        energies, forces = energies_and_forces(positions, stiffness)
        velocities = velocities + 0.5 * _TIMESTEP * forces / (KINETIC_UNIT * MASSES[:, None])
    x, v, e = (np.stack(column, axis=1) for column in zip(*kept, strict=True))
    told = {"temperature": temperature, "ensemble": ensemble, "level_of_theory": "springs", "calculator": CALCULATOR, **provenance}
    times = np.arange(frames) * every * _TIMESTEP
    return [
        Trajectory(
            f"run_{run:04d}", MOLECULE.numbers.astype(np.int64), MASSES, times, x[run], v[run], energies=e[run], provenance=dict(told)
        )
        for run in range(runs)
    ]


def store(path: Path, runs: list[Trajectory]) -> Path:
    """Write a store and return its path."""
    write_store(path, runs)
    return path
