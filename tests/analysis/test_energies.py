"""True energies are the calculator's own; a drift is the slope that was put in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from forcefree.analysis.energies import SampledEnergies, kinetic_energies, potential_energies, sample_energies, thin
from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError
from forcefree.reference.config import CalculatorConfig
from forcefree.units import KINETIC_UNIT
from networks import CALCULATOR, MASSES

NETWORK = CalculatorConfig.model_validate(CALCULATOR)


def test_the_drift_of_a_ramp() -> None:
    times = np.linspace(0.0, 5000.0, 40)
    wiggle = 0.01 * np.sin(times / 3.0)
    ramp = SampledEnergies(times, potential=wiggle + 2.0e-6 * times, kinetic=0.3 - wiggle)
    assert ramp.drift == pytest.approx(2.0e-6)
    gappy = replace(ramp, potential=np.where(np.arange(40) % 3 == 0, np.nan, ramp.potential))
    assert gappy.drift == pytest.approx(2.0e-6)
    assert np.isnan(replace(ramp, potential=np.full(40, np.nan)).drift)


def test_recomputed_energies_are_those_that_the_dynamics_had(others: list[Trajectory]) -> None:
    runs = [run.frames(0, 100, 10) for run in others[:2]]
    for found, run in zip(potential_energies(runs, NETWORK), runs, strict=True):
        np.testing.assert_allclose(found, run.energies, rtol=1e-10)


def test_kinetic_energy_keeps_the_motion_of_the_centre_of_mass(others: list[Trajectory]) -> None:
    run = others[0].frames(0, 5)
    moving = replace(run, velocities=run.velocities + np.array([0.0, 0.1, 0.0]))
    np.testing.assert_allclose(kinetic_energies(moving) - kinetic_energies(run), 0.5 * KINETIC_UNIT * MASSES.sum() * 0.01)


def test_samples_are_spread_evenly(others: list[Trajectory]) -> None:
    found = sample_energies(others, NETWORK, samples=60)
    assert len(found) == len(others)
    assert all(len(one.times) == 10 for one in found)
    assert found[0].times[-1] - found[0].times[0] == pytest.approx(0.9 * 2400.0)
    assert len(thin(others[0], 1)) == 1


def test_stored_energies_are_taken_when_there_is_no_calculator(others: list[Trajectory]) -> None:
    found = sample_energies(others[:1], None, samples=20)[0]
    np.testing.assert_array_equal(found.potential, thin(others[0], 20).energies)
    assert np.isnan(sample_energies([replace(others[0], energies=None)], None, samples=5)[0].potential).all()


def test_a_calculator_that_fails_on_some_frames_leaves_gaps(others: list[Trajectory]) -> None:
    run = others[0].frames(0, 40)
    lengths = np.linalg.norm(run.positions[:, 1] - run.positions[:, 0], axis=1)
    limit = float(np.median(lengths))
    found = potential_energies([run], CalculatorConfig(name="networks:Network", options={"limit": limit}))[0]
    np.testing.assert_array_equal(np.isnan(found), lengths > limit)


def test_a_calculator_that_always_fails_is_named(others: list[Trajectory]) -> None:
    with pytest.raises(ForcefreeError, match="'networks:Network' failed on every sampled frame"):
        potential_energies([others[0].frames(0, 3)], CalculatorConfig(name="networks:Network", options={"limit": 0.1}))
    with pytest.raises(ForcefreeError, match="unknown"):
        potential_energies([others[0].frames(0, 3)], CalculatorConfig(name="no-such-thing"))


@pytest.mark.slow
def test_several_processes_give_the_same(others: list[Trajectory]) -> None:
    runs = [run.frames(0, 30, 10) for run in others[:3]]
    for one, two in zip(potential_energies(runs, NETWORK), potential_energies(runs, NETWORK, workers=2), strict=True):
        np.testing.assert_array_equal(one, two)
