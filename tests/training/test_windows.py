"""Windows of true trajectories: right in time, right backwards, and the same whenever they are drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError
from forcefree.training.windows import WindowSource, window_source


def test_a_batch_depends_on_its_number_alone(trajectories: list[Trajectory]) -> None:
    first, second = WindowSource(trajectories, 5.0, seed=3), WindowSource(trajectories, 5.0, seed=3)
    second.draw(8, 1)
    a, b = first.draw(8, 7), second.draw(8, 7)
    assert torch.equal(a.positions, b.positions)
    assert not torch.equal(a.positions, first.draw(8, 8).positions)
    assert not torch.equal(a.positions, WindowSource(trajectories, 5.0, seed=4).draw(8, 7).positions)


def test_windows_are_pieces_of_the_trajectories(trajectories: list[Trajectory]) -> None:
    windows = WindowSource(trajectories, 5.0, time_reversal=False).draw(16, 0)
    assert windows.positions.shape == (5, 48, 3)
    assert windows.times[:, 0].tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]
    everything = np.concatenate([t.positions for t in trajectories])
    for system in range(16):
        start = windows.history[0].positions[3 * system : 3 * system + 3].numpy()
        found = np.flatnonzero((everything == start).all(axis=(1, 2)))
        assert len(found) == 1
        np.testing.assert_array_equal(windows.positions[4, 3 * system : 3 * system + 3].numpy(), everything[found[0] + 5])


def test_half_of_the_windows_run_backwards_and_obey_the_same_mechanics(trajectories: list[Trajectory]) -> None:
    windows = WindowSource(trajectories, 5.0).draw(400, 0)
    forward = {t.velocities[k].tobytes() for t in trajectories if t.velocities is not None for k in range(len(t))}
    starts = windows.history[0].velocities.reshape(400, 3, 3).numpy()
    backwards = sum(start.tobytes() not in forward for start in starts)
    assert 140 < backwards < 260
    middle = (windows.positions[0] - windows.history[0].positions) / 1.0
    mean = 0.5 * (windows.velocities[0] + windows.history[0].velocities)
    assert (middle - mean).abs().max() < 2e-3, "displacement and velocity must point the same way in time"


def test_a_history_is_a_window_of_consecutive_frames(trajectories: list[Trajectory]) -> None:
    windows = WindowSource(trajectories, 2.0, history_length=3, time_reversal=False).draw(4, 0)
    assert [float(state.time[0]) for state in windows.history] == [0.0, 1.0, 2.0]
    speeds = (windows.history[1].positions - windows.history[0].positions) - windows.history[0].velocities
    assert speeds.abs().max() < 0.02


def test_departures_vanish_for_free_flight() -> None:
    times = np.arange(30.0)
    velocity = np.array([[0.1, 0.0, -0.2], [0.0, 0.3, 0.1]])
    flying = Trajectory(
        name="free",
        numbers=np.array([1, 8]),
        masses=np.array([1.0, 16.0]),
        times=times,
        positions=times[:, None, None] * velocity,
        velocities=np.broadcast_to(velocity, (30, 2, 3)).copy(),
    )
    positions, velocities = WindowSource([flying], 4.0).draw(5, 0).departures()
    assert positions.abs().max() < 1e-12
    assert velocities.abs().max() == 0.0


def test_what_cannot_be_drawn_from_is_refused(trajectories: list[Trajectory]) -> None:
    with pytest.raises(ForcefreeError, match="no trajectory"):
        WindowSource([], 5.0)
    with pytest.raises(ForcefreeError, match="not a multiple"):
        WindowSource(trajectories, 2.5)
    with pytest.raises(ForcefreeError, match="has no velocities"):
        WindowSource([replace(trajectories[0], velocities=None)], 5.0)
    with pytest.raises(ForcefreeError, match="a window needs 201"):
        WindowSource(trajectories, 200.0)
    broken = trajectories[0].positions.copy()
    broken[7, 0, 0] = np.nan
    with pytest.raises(ForcefreeError, match="not a finite number"):
        WindowSource([replace(trajectories[0], positions=broken)], 5.0)
    with pytest.raises(ForcefreeError, match="train on one spacing"):
        WindowSource([trajectories[0], replace(trajectories[1], times=2.0 * trajectories[1].times)], 4.0)


def test_a_history_further_apart_than_the_data_uses_every_phase(trajectories: list[Trajectory]) -> None:
    timing = {"history_length": 3, "history_spacing": 2.0, "fixed_times": [2.0, 4.0]}
    windows = window_source(trajectories, 4.0, timing, time_reversal=False).draw(200, 0)
    assert [float(state.time[0]) for state in windows.history] == [0.0, 2.0, 4.0]
    assert windows.times[:, 0].tolist() == [2.0, 4.0]
    everything = np.concatenate([t.positions for t in trajectories])
    phases = set()
    for system in range(200):
        atoms = slice(3 * system, 3 * system + 3)
        (first,) = np.flatnonzero((everything == windows.history[0].positions[atoms].numpy()).all(axis=(1, 2)))
        np.testing.assert_array_equal(windows.history[2].positions[atoms].numpy(), everything[first + 4])
        np.testing.assert_array_equal(windows.positions[1, atoms].numpy(), everything[first + 8])
        phases.add(int(first) % 120 % 2)
    assert phases == {0, 1}


def test_one_fixed_time_is_one_target_and_other_spacings_are_refused(trajectories: list[Trajectory]) -> None:
    assert window_source(trajectories, 10.0, {"fixed_times": [5.0]}).draw(2, 0).times[:, 0].tolist() == [5.0, 10.0]
    assert len(window_source(trajectories, 5.0, {}).draw(2, 0).times) == 5
    with pytest.raises(ForcefreeError, match=r"0.7 fs apart, not a multiple of the 1 fs between those of trajectory 'run_0'"):
        window_source(trajectories, 7.0, {"history_length": 2, "history_spacing": 0.7})


def test_forces_stay_with_their_frames_forwards_and_backwards(trajectories: list[Trajectory]) -> None:
    """Forces are even under the reversal of time, and here a rule of the positions."""
    pulled = [replace(t, forces=-2.0 * t.positions) for t in trajectories]
    source = WindowSource(pulled, 6.0, history_length=2, stride=3)
    windows = source.draw(40, 0)
    assert windows.forces is not None
    assert windows.forces.shape == (2, 120, 3)
    assert torch.equal(windows.forces, -2.0 * windows.positions)
    assert WindowSource([pulled[0], trajectories[1]], 6.0).draw(4, 0).forces is None, "forces of some runs alone are of no use"


def test_long_runs_are_drawn_from_as_often_as_they_have_windows(trajectories: list[Trajectory]) -> None:
    short = trajectories[0].frames(0, 15)
    windows = WindowSource([short, trajectories[1]], 5.0, time_reversal=False).draw(3000, 0)
    starts = {t.positions[k].tobytes() for t in (short,) for k in range(10)}
    share = np.mean([start.tobytes() in starts for start in windows.history[0].positions.view(3000, 3, 3).numpy()])
    expected = 10 / (10 + 115)
    assert abs(share - expected) < 4.5 * (expected * (1.0 - expected) / 3000) ** 0.5


def test_molecules_of_a_mixed_batch_keep_their_atoms(trajectories: list[Trajectory]) -> None:
    whole, run = trajectories[0], trajectories[1]
    cell, periodic = np.diag([7.0, 8.0, 9.0]), np.array([True, True, False])
    assert run.velocities is not None
    part = replace(
        run, numbers=run.numbers[:2], masses=run.masses[:2], positions=run.positions[:, :2], velocities=run.velocities[:, :2],
        cell=cell, pbc=periodic,
    )  # fmt: skip
    windows = WindowSource([whole, part], 5.0, time_reversal=False).draw(30, 0)
    state = windows.history[-1]
    assert set(state.sizes.tolist()) == {2, 3}
    for system, size in enumerate(state.sizes.tolist()):
        source, own = (part if size == 2 else whole), state.system == system
        assert state.numbers[own].tolist() == source.numbers.tolist()
        assert state.masses[own].tolist() == source.masses.tolist()
        assert bool(state.isolated[system]) is (size == 3)
        np.testing.assert_array_equal(state.cell[system].numpy(), source.cell)
        (first,) = np.flatnonzero((source.positions == state.positions[own].numpy()).all(axis=(1, 2)))
        np.testing.assert_array_equal(windows.velocities[:, own].numpy(), source.velocities[first + 1 : first + 6])
