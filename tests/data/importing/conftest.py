"""Fixtures: the true trajectory, and an importer that reads back what it wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ase import Atoms

from forcefree.data.h5md import read_store
from forcefree.data.importing.conversion import import_trajectories
from forcefree.data.importing.source import ImportOptions
from forcefree.data.trajectory import Trajectory
from methanol import Import, as_trajectory, run_methanol


@pytest.fixture(scope="session")
def images() -> list[Atoms]:
    """Forty frames of methanol drifting through the boundary of its cell."""
    return run_methanol(drift=(0.3, 0.2, -0.1))


@pytest.fixture(scope="session")
def true(images: list[Atoms]) -> Trajectory:
    """The same frames as a trajectory."""
    return as_trajectory(images)


@pytest.fixture
def bring(tmp_path: Path) -> Import:
    """Import one file and read the only trajectory back."""

    def bring(path: Path, **options: Any) -> Trajectory:
        output = tmp_path / "imported.h5"
        output.unlink(missing_ok=True)
        import_trajectories([path], output, ImportOptions(**options))
        assert not list(tmp_path.glob("*.partial"))
        (found,) = read_store(output)
        return found

    return bring
