"""Scales and guard limits say what the data says."""

from __future__ import annotations

import numpy as np
import pytest

from forcefree.data.trajectory import Trajectory
from forcefree.training.statistics import departure_scales, guard_limits
from forcefree.training.windows import WindowSource
from forcefree.units import BOLTZMANN, KINETIC_UNIT


def test_light_atoms_depart_further_than_heavy_ones(trajectories: list[Trajectory]) -> None:
    positions, velocities = departure_scales(WindowSource(trajectories, 5.0), [1, 8])
    assert positions[0] > 3.0 * positions[1] > 0.0
    assert velocities[0] > 3.0 * velocities[1] > 0.0


def test_an_element_that_is_not_there_gets_a_neutral_scale(trajectories: list[Trajectory]) -> None:
    positions, _ = departure_scales(WindowSource(trajectories, 5.0), [1, 8, 79])
    assert positions[2] == 1.0


def test_limits_are_the_extremes_of_all_frames(trajectories: list[Trajectory]) -> None:
    limits = guard_limits(trajectories, frames_per_run=10_000)
    bonds = np.concatenate([np.linalg.norm(t.positions[:, 0] - t.positions[:, 1], axis=-1) for t in trajectories])
    others = np.concatenate([np.linalg.norm(t.positions[:, 2] - t.positions[:, 1], axis=-1) for t in trajectories])
    assert limits["longest_bond"] == {"1-8": pytest.approx(max(bonds.max(), others.max()))}
    assert limits["closest"]["1-8"] == pytest.approx(min(bonds.min(), others.min()))
    assert "1-1" in limits["closest"]
    hottest = max(float((t.masses[:, None] * t.velocities**2).sum(axis=(1, 2)).mean()) for t in trajectories if t.velocities is not None)
    assert limits["max_temperature"] == pytest.approx(KINETIC_UNIT * hottest / (6 * BOLTZMANN))
