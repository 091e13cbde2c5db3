"""Periodic systems: radial distributions and diffusion of particles that walk at random."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from forcefree.analysis import Analysis, analyze
from forcefree.data.trajectory import Trajectory
from forcefree.units import BOLTZMANN, KINETIC_UNIT
from networks import store

CELL = np.diag([11.0, 12.0, 13.0])
MASS = 39.948
KICK = 0.02
"""Å/fs: rms velocity component of 400 fs flights, which fixes the diffusion coefficient."""


def _walkers(runs: int, seed: int, *, kick: float = KICK, packed: bool = False) -> list[Trajectory]:
    """Argon atoms that fly freely and are turned at random every 20 fs; ``packed`` keeps half of them in pairs."""
    rng = np.random.default_rng(seed)
    trajectories = []
    temperature = MASS * KINETIC_UNIT * KICK**2 / BOLTZMANN
    for run in range(runs):
        velocities = kick * rng.normal(size=(200, 24, 3)).repeat(2, axis=0)
        velocities -= velocities.mean(axis=1, keepdims=True)
        start = rng.uniform(0.0, 1.0, (24, 3)) @ CELL
        if packed:
            start[12:] = start[:12] + np.array([3.0, 0.0, 0.0])
            velocities[:, 12:] = velocities[:, :12]
        positions = start + 10.0 * np.cumsum(velocities, axis=0)
        trajectories.append(
            Trajectory(
                f"run_{run}", np.full(24, 18), np.full(24, MASS), 10.0 * np.arange(400), positions, velocities, cell=CELL,
                pbc=np.ones(3, dtype=bool), provenance={"temperature": round(temperature, 3), "ensemble": "nvt"},
            )
        )  # fmt: skip
    return trajectories


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return store(tmp_path_factory.mktemp("walkers") / "reference.h5", _walkers(8, 0))


@pytest.fixture(scope="module")
def same(tmp_path_factory: pytest.TempPathFactory, reference: Path) -> Analysis:
    return analyze(store(tmp_path_factory.mktemp("walkers") / "traj.h5", _walkers(8, 1)), reference, discard="0")


def test_equal_walkers_agree(same: Analysis) -> None:
    assert "does not hold" not in {measure.verdict for measure in same.measures}
    assert same.trajectory.periodic
    assert same.trajectory.conserved == "momentum"
    assert [curve.name for curve in same.radial] == ["Ar-Ar"]


def test_an_ideal_gas_is_structureless(same: Analysis) -> None:
    radial = np.array(same.radial[0].reference)[np.array(same.radial[0].x) > 1.5]
    assert radial.mean() == pytest.approx(1.0, abs=0.02)


def test_the_diffusion_coefficient_is_that_of_the_walk(same: Analysis) -> None:
    """Steps of 20 fs: D = kick^2 * 20 fs / 2 per dimension, less the momentum that the centre of mass would carry."""
    expected = 0.5 * KICK**2 * 20.0 * (23.0 / 24.0) * 0.1 * 1e5
    measure = same.measure("diffusion.Ar")
    assert measure.reference == pytest.approx(expected, rel=0.1)
    assert measure.model == pytest.approx(expected, rel=0.1)
    times, moved = np.array(same.displacements[0].x), np.array(same.displacements[0].reference)
    assert moved[-1] / times[-1] == pytest.approx(6.0 * expected * 1e-5 / 0.1 * 1000.0, rel=0.2)


def test_slow_and_clustered_walkers_are_found(tmp_path: Path, reference: Path) -> None:
    found = analyze(store(tmp_path / "slow.h5", _walkers(8, 2, kick=0.6 * KICK, packed=True)), reference, discard="0")
    assert found.measure("diffusion.Ar").verdict == "does not hold"
    assert found.measure("structure.pair").verdict == "does not hold"
    assert found.measure("temperature.Ar").verdict == "does not hold"
    assert "diffusion" in found.conclusion


def test_a_slab_has_no_radial_distribution(tmp_path: Path) -> None:
    slabs = []
    for seed in (0, 1):
        runs = [Trajectory(**{**vars(run), "pbc": np.array([True, True, False])}) for run in _walkers(4, seed)]
        slabs.append(store(tmp_path / f"{seed}.h5", runs))
    found = analyze(*slabs)
    assert found.radial == []
    assert found.displacements == []
