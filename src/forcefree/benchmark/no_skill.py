"""Forecasts that know nothing of the dynamics, beside which every learned one must stand."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from forcefree.benchmark.alignment import superposed
from forcefree.benchmark.md17_data import HeavyTrajectory
from forcefree.benchmark.md17_splits import Indices
from forcefree.nn.rigid import angular_velocity, turned
from forcefree.state import State

Forecast = Callable[[State, Tensor], Tensor]
"""From start states and times (n_times, n_systems) in fs to positions (n_times, n_atoms, 3) in Å."""

_ROUNDS = 5


def copy_last(state: State, times: Tensor) -> Tensor:
    """Nothing moves."""
    return state.positions.expand(len(times), -1, -1)


def ballistic(state: State, times: Tensor) -> Tensor:
    """Every atom flies straight."""
    return state.positions + times[:, state.system, None] * state.velocities


def rigid_turn(state: State, times: Tensor) -> Tensor:
    """The molecule turns rigidly about its centre, which stays where it is."""
    centre = state.mean_by_mass(state.positions)[state.system]
    arms = (state.positions - centre).expand(len(times), -1, -1)
    return centre + turned(arms, angular_velocity(state)[state.system], times[:, state.system, None])


def mean_structure(trajectory: HeavyTrajectory, starts: Indices) -> Forecast:
    """The mean of the training frames as they lie in space, the best constant under the raw error."""
    mean = torch.from_numpy(trajectory.positions[starts].astype("float64")).mean(dim=0)
    return lambda state, times: mean.repeat(state.n_systems, 1).expand(len(times), -1, -1)


def mean_shape(trajectory: HeavyTrajectory, starts: Indices) -> Forecast:
    """The mean of the superposed training frames, laid on the start frame: shape without motion."""
    mean = mean_of_superposed(torch.from_numpy(trajectory.positions[starts].astype("float64")))

    def forecast(state: State, times: Tensor) -> Tensor:
        first = state.positions.view(-1, len(mean), 3)
        return superposed(mean.expand_as(first), first).flatten(0, 1).expand(len(times), -1, -1)

    return forecast


def mean_of_superposed(frames: Tensor) -> Tensor:
    """The shape on which all frames (n_frames, n_atoms, 3) lie best, shape (n_atoms, 3)."""
    mean = frames[0]
    for _ in range(_ROUNDS):
        mean = superposed(frames, mean.expand_as(frames)).mean(dim=0)
    return mean


def no_skill_forecasts(trajectory: HeavyTrajectory, starts: Indices) -> dict[str, Forecast]:
    """All of them by name; those that need data see the training starts alone."""
    return {
        "copy of the start": copy_last,
        "free flight": ballistic,
        "rigid turn": rigid_turn,
        "mean structure": mean_structure(trajectory, starts),
        "mean shape on the start": mean_shape(trajectory, starts),
    }
