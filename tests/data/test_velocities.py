"""Central differences against analytic motion."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forcefree.data.trajectory import Trajectory
from forcefree.data.velocities import CentralDifferences, join, kinetic_loss, select
from forcefree.errors import ForcefreeError


def _trajectory(positions: np.ndarray, times: np.ndarray) -> Trajectory:
    atoms = positions.shape[1]
    return Trajectory("run", np.full(atoms, 6), np.full(atoms, 12.0), times, positions, energies=times.copy())


def _oscillation(times: np.ndarray, frequency: float) -> np.ndarray:
    return np.broadcast_to(np.sin(frequency * times)[:, None, None], (len(times), 1, 3)).copy()


def test_uniform_acceleration_is_exact_and_the_ends_are_dropped() -> None:
    times = 0.5 * np.arange(40)
    fall = (0.3 * times + 0.5 * 0.01 * times**2)[:, None, None] * np.ones((1, 2, 3))
    found = CentralDifferences()(_trajectory(fall, times))
    np.testing.assert_array_equal(found.times, times[1:-1])
    np.testing.assert_array_equal(found.positions, fall[1:-1])
    np.testing.assert_array_equal(found.energies, times[1:-1])
    assert found.velocities is not None
    np.testing.assert_allclose(found.velocities[:, 0, 0], 0.3 + 0.01 * times[1:-1], rtol=1e-12)


@pytest.mark.parametrize("wavenumber", [500.0, 1500.0, 3700.0])
def test_a_vibration_is_damped_by_sinc_exactly(wavenumber: float) -> None:
    times, frequency = 0.5 * np.arange(400), 2 * np.pi * 2.998e-5 * wavenumber
    found = CentralDifferences()(_trajectory(_oscillation(times, frequency), times))
    damping = np.sin(0.5 * frequency) / (0.5 * frequency)
    assert found.velocities is not None
    np.testing.assert_allclose(found.velocities[:, 0, 0], damping * frequency * np.cos(frequency * found.times), atol=1e-13)


@given(st.lists(st.integers(1, 49), max_size=8))
@settings(max_examples=25, deadline=None)
def test_any_cut_into_blocks_gives_the_same(cuts: list[int]) -> None:
    times = 0.5 * np.arange(50)
    whole = _trajectory(np.random.default_rng(3).normal(size=(50, 2, 3)), times)
    expected = CentralDifferences()(whole)
    derive, edges = CentralDifferences(), [0, *sorted(set(cuts)), 50]
    parts = [derive(whole.frames(a, b)) for a, b in pairwise(edges)]
    for noun in ("times", "positions", "velocities", "energies"):
        np.testing.assert_array_equal(np.concatenate([getattr(p, noun) for p in parts]), getattr(expected, noun))


def test_only_frames_with_both_neighbours_get_a_velocity() -> None:
    steps = np.array([0, 1, 2, 5, 6, 7, 8, 20, 40, 41])
    motion = _trajectory(np.linspace(0, 4.1, 42)[steps][:, None, None] * np.ones((1, 1, 3)), 0.5 * steps)
    found = CentralDifferences(0.5)(motion)
    np.testing.assert_array_equal(found.times / 0.5, [1, 6, 7])
    np.testing.assert_allclose(found.velocities, 0.2, rtol=1e-12)


def test_equal_but_wide_gaps_do_not_count_as_neighbours() -> None:
    motion = _trajectory(np.zeros((4, 1, 3)), np.array([0.0, 4.0, 8.0, 12.0]))
    assert len(CentralDifferences(0.5)(motion)) == 0


def test_the_loss_of_kinetic_energy_is_estimated_from_the_data() -> None:
    frequency, times = 0.3, np.arange(600.0)
    true = 1.0 - (np.sin(frequency) / frequency) ** 2
    estimate = kinetic_loss(_trajectory(_oscillation(times, frequency), times))
    assert estimate == pytest.approx(true, rel=0.1)
    flight = kinetic_loss(_trajectory(times[:, None, None] * np.ones((1, 1, 3)), times))
    assert flight == pytest.approx(0.0, abs=1e-12)


def test_unresolved_motion_loses_about_a_quarter() -> None:
    noise = np.random.default_rng(1).normal(size=(4000, 3, 3))
    assert kinetic_loss(_trajectory(noise, np.arange(4000.0))) == pytest.approx(0.25, abs=0.01)


def test_too_few_or_uneven_frames_give_no_estimate_and_resting_atoms_lose_nothing() -> None:
    rng = np.random.default_rng(0)
    assert kinetic_loss(_trajectory(rng.normal(size=(4, 1, 3)), np.arange(4.0))) is None
    assert kinetic_loss(_trajectory(rng.normal(size=(6, 1, 3)), np.arange(6.0) ** 2)) is None
    assert kinetic_loss(_trajectory(np.zeros((9, 1, 3)), np.arange(9.0))) == 0.0


def test_joining_needs_the_same_quantities_and_selecting_takes_from_all() -> None:
    whole = _trajectory(np.random.default_rng(0).normal(size=(8, 1, 3)), np.arange(8.0))
    again = join(whole.frames(0, 3), whole.frames(3, 8))
    np.testing.assert_array_equal(again.positions, whole.positions)
    np.testing.assert_array_equal(select(whole, np.array([1, 5])).energies, [1.0, 5.0])
    bare = Trajectory("run", whole.numbers, whole.masses, np.array([9.0]), np.zeros((1, 1, 3)))
    with pytest.raises(ForcefreeError, match="energies in some of its frames only"):
        join(whole, bare)


def test_the_drift_of_a_molecule_is_no_part_of_what_is_lost() -> None:
    """A swing about a centre of mass that flies fast loses as much of its kinetic energy as one about a centre at rest."""
    times = np.arange(300.0)
    swing = np.zeros((300, 2, 3))
    swing[:, 0, 0] = np.sin(0.3 * times)
    swing[:, 1, 0] = -3.0 * swing[:, 0, 0]
    resting = replace(_trajectory(swing, times), masses=np.array([12.0, 4.0]))
    flying = replace(resting, positions=swing + np.array([5.0, -2.0, 1.0]) * times[:, None, None])
    assert kinetic_loss(flying) == pytest.approx(kinetic_loss(resting), rel=1e-6)
    assert kinetic_loss(resting) > 0.02


def test_what_is_joined_must_come_later() -> None:
    whole = _trajectory(np.zeros((8, 1, 3)), np.arange(8.0))
    for second in (whole.frames(0, 3), whole.frames(4, 8)):
        with pytest.raises(ForcefreeError, match="do not increase"):
            join(whole.frames(3, 5), second)
