"""Configurations that take milliseconds: springs between the atoms of methane."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forcefree.data.h5md import read_store
from forcefree.data.trajectory import Trajectory
from forcefree.reference.config import ReferenceConfig
from forcefree.reference.run import all_runs, record


@pytest.fixture
def make_config(tmp_path: Path) -> Callable[..., ReferenceConfig]:
    """A configuration, with some keys changed."""

    def make(**changes: Any) -> ReferenceConfig:
        values: dict[str, Any] = {
            "calculator": {"name": "springs:Springs"},
            "start": {"name": "methane"},
            "temperatures": [300],
            "runs_per_temperature": 1,
            "timestep": 0.5,
            "equilibration": {"duration": 25.0, "friction_time": 20.0},
            "recording": {"duration": 300.0, "every": 1.0},
            "seed": 3,
            "output": tmp_path / "reference.h5",
        }
        return ReferenceConfig.parse({**values, **changes}, "test")

    return make


@pytest.fixture
def recorded(tmp_path: Path) -> Callable[..., Trajectory]:
    """One run of a configuration, made in this process."""

    def make(config: ReferenceConfig, index: int = 0) -> Trajectory:
        run = all_runs(config)[index]
        part = tmp_path / "alone" / f"{len(list(tmp_path.glob('alone/*.h5')))}.h5"
        for _ in record(run, part):
            pass
        return next(read_store(part))

    return make


@pytest.fixture
def same() -> Callable[[Trajectory, Trajectory], bool]:
    """Whether two trajectories are alike to the last bit."""

    def compare(one: Trajectory, other: Trajectory) -> bool:
        arrays = ("numbers", "masses", "times", "positions", "velocities", "energies", "forces", "cell", "pbc")
        return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in arrays) and one.provenance == other.provenance

    return compare
