"""What no training should begin with, by what a run says of itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import copper
from forcefree.data.checks import mean_temperature
from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError
from forcefree.training.checks import check_trajectory


def told(trajectory: Trajectory, temperature: Any) -> Trajectory:
    return replace(trajectory, provenance={"temperature": temperature})


def test_a_run_is_judged_by_the_temperature_that_it_says_it_was_made_at(trajectories: list[Trajectory]) -> None:
    run = trajectories[0]
    warm = mean_temperature(run)
    check_trajectory(told(run, 0.11 * warm), 4.0)
    with pytest.raises(ForcefreeError, match="run_0"):
        check_trajectory(told(run, 0.09 * warm), 4.0)


@pytest.mark.parametrize("temperature", [None, 0.0, "300 K"])
def test_a_run_that_says_nothing_useful_is_refused_only_beyond_any_molecule(trajectories: list[Trajectory], temperature: Any) -> None:
    run = trajectories[0]
    assert run.velocities is not None
    check_trajectory(told(run, temperature), 4.0)
    hot = replace(run, velocities=run.velocities * np.sqrt(1.01e5 / mean_temperature(run)))
    with pytest.raises(ForcefreeError, match="run_0"):
        check_trajectory(told(hot, temperature), 4.0)


def test_a_cell_in_which_atoms_would_see_themselves_is_refused_by_its_name() -> None:
    crystal = copper.run(0, 3)
    width = float(np.linalg.norm(crystal.cell[0]))
    check_trajectory(crystal, width)
    with pytest.raises(ForcefreeError, match=f"trajectory '{crystal.name}' has a cell only {width:.2f} Å wide"):
        check_trajectory(crystal, width + 0.1)
