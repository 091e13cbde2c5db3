"""Velocities without what conservation laws or free rotation add, the temperatures of runs, and what they conserve."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from forcefree.analysis.geometry import superposing_rotations
from forcefree.data.trajectory import Floats, Trajectory
from forcefree.nn.conservation import angular_momentum, inertia_tensor
from forcefree.state import State
from forcefree.temperature import Conserved, element_temperatures, kinetic_temperature
from forcefree.velocities import allowed

_ATOMS_AT_ONCE = 40000
_STILL = 0.02
_ORDER: tuple[Conserved, ...] = ("nothing", "momentum", "momentum and rotation")


def frames_as_state(run: Trajectory) -> State:
    """All frames of a run as one batch, a system for each frame."""
    frames, atoms = run.positions.shape[:2]
    assert run.velocities is not None
    return State(
        positions=torch.tensor(run.positions.reshape(-1, 3)),
        velocities=torch.tensor(run.velocities.reshape(-1, 3)),
        numbers=torch.tensor(run.numbers).repeat(frames),
        masses=torch.tensor(run.masses).repeat(frames),
        cell=torch.tensor(run.cell).expand(frames, 3, 3),
        pbc=torch.tensor(run.pbc).expand(frames, 3),
        system=torch.arange(frames).repeat_interleave(atoms),
        time=torch.tensor(run.times),
    )


def conserved_by(runs: Sequence[Trajectory]) -> Conserved:
    """What the dynamics conserves, read off the frames rather than believed.

    Momentum is conserved where the motion of the centre of mass changes by less than a fiftieth of the kinetic energy that
    it would have in equilibrium, and rotation is absent where the rigid rotation of an isolated system carries less than
    that. The weakest of all runs counts.
    """
    return min((_conserved_by(run) for run in runs), key=_ORDER.index)


def run_temperatures(run: Trajectory, conserved: Conserved) -> dict[str, float]:
    """Mean kinetic temperature of a run and of each of its elements.

    Args:
        run: Frames with velocities.
        conserved: What carries no heat; see :mod:`forcefree.temperature`.

    Returns:
        K, by chemical symbol, and the overall one as ``all``; NaN for an element that has no freedom.
    """
    total: dict[str, float] = {}
    for chunk in _chunks(run):
        state = frames_as_state(chunk)
        found = {"all": kinetic_temperature(state, conserved), **element_temperatures(state, conserved)}
        for name, temperatures in found.items():
            total[name] = total.get(name, 0.0) + float(temperatures.sum())
    return {name: value / len(run) for name, value in total.items()}


def vibrational_velocities(run: Trajectory, target: Floats) -> Floats:
    """Velocities that vibrations alone would have, so that runs that rotate and runs that do not can be compared.

    The centre of mass is brought to rest. From isolated systems the rigid rotation is taken out too, and the rest is
    turned to the orientation that superposes each frame on ``target``.

    Args:
        run: Frames with velocities.
        target: Structure that gives the orientation, Å, shape (n_atoms, 3).

    Returns:
        Å/fs, shape (n_frames, n_atoms, 3).
    """
    isolated = not run.pbc.any()
    parts = []
    for chunk in _chunks(run):
        state = frames_as_state(chunk)
        kept = allowed(state, state.velocities, "momentum and rotation" if isolated else "momentum")
        velocities = kept.numpy().reshape(chunk.positions.shape)
        if isolated and len(run.numbers) > 2:
            velocities = velocities @ superposing_rotations(chunk.positions, target, run.masses)
        parts.append(velocities)
    return np.concatenate(parts)


def _chunks(run: Trajectory) -> Iterator[Trajectory]:
    step = max(1, _ATOMS_AT_ONCE // len(run.numbers))
    return (run.frames(start, start + step) for start in range(0, len(run), step))


def _conserved_by(run: Trajectory) -> Conserved:
    few = run.frames(0, len(run), max(1, len(run) // 64))
    one = frames_as_state(few.frames(0, 1))
    assert few.velocities is not None
    positions, velocities = torch.tensor(few.positions), torch.tensor(few.velocities)
    drift = (one.masses[:, None] * velocities).sum(dim=1) / one.masses.sum()
    kinetic = float((one.masses[:, None] * (velocities - drift[:, None]).square()).sum(dim=(1, 2)).mean())
    wandering = float(one.masses.sum() * (drift - drift.mean(dim=0)).square().sum(dim=1).mean())
    still = _STILL * max(kinetic, wandering) / len(run.numbers)
    if wandering > still:
        return "nothing"
    if bool(run.pbc.any()) or len(run.numbers) == 1:
        return "momentum"
    return "momentum and rotation" if _turning(one, positions, velocities) < still else "momentum"


def _turning(one: State, positions: Tensor, velocities: Tensor) -> float:
    """Mean of twice the kinetic energy of rigid rotation, amu Å^2/fs^2."""
    spin = angular_momentum(one, positions, velocities)[:, 0]
    inverse = torch.linalg.pinv(inertia_tensor(one, positions)[:, 0], rtol=1e-7, hermitian=True)
    return float(torch.einsum("fi,fij,fj->f", spin, inverse, spin).mean())
