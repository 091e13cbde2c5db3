"""What the training data says of itself: scales of the heads, and the limits that guards will hold rollouts to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from ase.data import covalent_radii
from torch import Tensor

from forcefree.data.trajectory import Trajectory
from forcefree.training.windows import WindowSource
from forcefree.units import BOLTZMANN, KINETIC_UNIT


def departure_scales(source: WindowSource, species: Sequence[int], samples: int = 1024) -> tuple[Tensor, Tensor]:
    """Root mean square departures at the end of a window for each element.

    Args:
        source: Windows as long as one forecast.
        species: Atomic numbers.
        samples: Windows to look at.

    Returns:
        Å and Å/fs, each of shape (n_species,).
    """
    windows = source.draw(samples, 1 << 51)
    positions, velocities = windows.departures()
    numbers = windows.history[-1].numbers
    rows = [torch.stack([values[-1][numbers == number].square().mean().sqrt() for values in (positions, velocities)]) for number in species]
    table = torch.nan_to_num(torch.stack(rows), nan=1.0).float()
    return table[:, 0], table[:, 1]


def guard_limits(trajectories: Iterable[Trajectory], frames_per_run: int = 400) -> dict[str, Any]:
    """Extremes of the data: closest approach and longest bond of each pair of elements, temperature of the hottest run.

    Bonds are those of each trajectory's first frame, by covalent radii. Periodic trajectories give no distances here.

    Returns:
        ``closest`` and ``longest_bond`` in Å with keys such as ``1-6``, and ``max_temperature`` in K, the highest
        mean temperature of a run over 3N - 3 degrees of freedom.
    """
    closest: dict[str, float] = {}
    longest: dict[str, float] = {}
    hottest = 0.0
    for trajectory in trajectories:
        chosen = slice(None, None, max(1, len(trajectory) // frames_per_run))
        if trajectory.velocities is not None:
            twice_kinetic = KINETIC_UNIT * (trajectory.masses[:, None] * trajectory.velocities[chosen] ** 2).sum(axis=(1, 2))
            freedom = max(1, 3 * len(trajectory.numbers) - 3)
            hottest = max(hottest, float(twice_kinetic.mean() / (freedom * BOLTZMANN)))
        if trajectory.pbc.any() or len(trajectory.numbers) > 100:
            continue
        _distances(trajectory, chosen, closest, longest)
    return {"closest": closest, "longest_bond": longest, "max_temperature": hottest}


def _distances(trajectory: Trajectory, chosen: slice, closest: dict[str, float], longest: dict[str, float]) -> None:
    numbers = trajectory.numbers
    first, second = np.triu_indices(len(numbers), 1)
    positions = trajectory.positions[chosen]
    distances = np.linalg.norm(positions[:, first] - positions[:, second], axis=-1)
    bonded = np.linalg.norm(trajectory.positions[0, first] - trajectory.positions[0, second], axis=-1) < 1.25 * (
        covalent_radii[numbers[first]] + covalent_radii[numbers[second]]
    )
    for i, j, low, high, bond in zip(first, second, distances.min(0), distances.max(0), bonded, strict=True):
        key = "-".join(str(z) for z in sorted((int(numbers[i]), int(numbers[j]))))
        closest[key] = min(float(low), closest.get(key, np.inf))
        if bond:
            longest[key] = max(float(high), longest.get(key, 0.0))
