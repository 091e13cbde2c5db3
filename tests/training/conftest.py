"""A tiny but true set of trajectories: a diatomic chain of springs integrated with velocity Verlet at a short time step."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from forcefree.data.h5md import write_store
from forcefree.data.trajectory import Trajectory


def springs(name: str, seed: int, frames: int = 120, spacing: float = 1.0) -> Trajectory:
    """Three atoms on two springs, started at random; reversible and conservative like any molecule."""
    rng = np.random.default_rng(seed)
    numbers, masses = np.array([1, 8, 1]), np.array([1.008, 15.999, 1.008])
    rest = np.array([[0.96, 0.0, 0.0], [0.0, 0.0, 0.0], [-0.24, 0.93, 0.0]])
    positions = rest + 0.03 * rng.standard_normal((3, 3))
    velocities = 0.01 * rng.standard_normal((3, 3))
    velocities -= (masses[:, None] * velocities).sum(0) / masses.sum()

    def acceleration(x: np.ndarray) -> np.ndarray:
        total = np.zeros_like(x)
        for i, j, length, constant in ((0, 1, 0.96, 0.5), (1, 2, 0.96, 0.5), (0, 2, 1.52, 0.05)):
            bond = x[j] - x[i]
            distance = np.linalg.norm(bond)
            pull = constant * (distance - length) * bond / distance
            total[i] += pull
            total[j] -= pull
        return 0.1 * total / masses[:, None]

    step = spacing / 20
    recorded_x, recorded_v = [positions.copy()], [velocities.copy()]
    force = acceleration(positions)
    for _ in range(frames - 1):
        for _ in range(20):
            velocities = velocities + 0.5 * step * force
            positions = positions + step * velocities
            force = acceleration(positions)
            velocities = velocities + 0.5 * step * force
        recorded_x.append(positions.copy())
        recorded_v.append(velocities.copy())
    return Trajectory(
        name=name,
        numbers=numbers,
        masses=masses,
        times=spacing * np.arange(frames),
        positions=np.stack(recorded_x),
        velocities=np.stack(recorded_v),
        provenance={"temperature": 300.0, "ensemble": "nve", "level_of_theory": "springs"},
    )


@pytest.fixture(scope="session")
def trajectories() -> list[Trajectory]:
    return [springs(f"run_{seed}", seed) for seed in range(6)]


@pytest.fixture(scope="session")
def store(trajectories: list[Trajectory], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "springs.h5"
    write_store(path, trajectories)
    return path
