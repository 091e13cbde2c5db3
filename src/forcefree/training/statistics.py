"""What the training data says of itself: scales of the heads, and the limits that guards will hold rollouts to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from forcefree.data.checks import mean_temperature
from forcefree.data.trajectory import Trajectory
from forcefree.training.contacts import Contacts
from forcefree.training.windows import WindowSource


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

    :class:`~forcefree.training.contacts.Contacts` says what counts as a bond and which contacts are looked at.

    Returns:
        ``closest`` and ``longest_bond`` in Å with keys such as ``1-6``, and ``max_temperature`` in K, the highest
        mean temperature of a run over 3N - 3 degrees of freedom. Where all runs are periodic in three directions, also ``volume``,
        the least and the largest volume of a cell per atom in Å^3.
    """
    contacts = Contacts()
    hottest = 0.0
    volumes: list[float] = []
    isolated = False
    for trajectory in trajectories:
        isolated = isolated or not bool(trajectory.pbc.all())
        volumes.append(abs(float(np.linalg.det(trajectory.cell))) / len(trajectory.numbers))
        if trajectory.velocities is not None:
            hottest = max(hottest, mean_temperature(trajectory, frames_per_run))
        contacts.add(trajectory, frames_per_run)
    limits: dict[str, Any] = {"closest": contacts.closest, "longest_bond": contacts.longest_bond, "max_temperature": hottest}
    return limits if isolated or not volumes else limits | {"volume": [min(volumes), max(volumes)]}


def told_temperatures(trajectories: Iterable[Trajectory]) -> list[float]:
    """The different temperatures in K that runs say they were made at, lowest first; some say none."""
    told = (trajectory.provenance.get("temperature") for trajectory in trajectories)
    return sorted({float(value) for value in told if value is not None})
