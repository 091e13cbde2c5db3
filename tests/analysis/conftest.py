"""Molecular dynamics of a little molecule of springs, made once for all tests of the room."""

from __future__ import annotations

from pathlib import Path

import pytest

from forcefree.data.trajectory import Trajectory
from networks import molecular_dynamics, store


@pytest.fixture(scope="session")
def thermostatted() -> list[Trajectory]:
    """12 runs of 1.2 ps at 300 K, a frame every 2 fs."""
    return molecular_dynamics(12, 600)


@pytest.fixture(scope="session")
def others() -> list[Trajectory]:
    """6 independent runs of 2.4 ps of the same."""
    return molecular_dynamics(6, 1200, seed=1)


@pytest.fixture(scope="session")
def microcanonical() -> list[Trajectory]:
    """8 NVE runs of 1.2 ps."""
    return molecular_dynamics(8, 600, seed=2, ensemble="nve")


@pytest.fixture(scope="session")
def reference_store(tmp_path_factory: pytest.TempPathFactory, thermostatted: list[Trajectory]) -> Path:
    return store(tmp_path_factory.mktemp("stores") / "reference.h5", thermostatted)


@pytest.fixture(scope="session")
def model_store(tmp_path_factory: pytest.TempPathFactory, others: list[Trajectory]) -> Path:
    return store(tmp_path_factory.mktemp("stores") / "traj.h5", others)
