"""What is asked of a forecaster under the MD17 protocol: starts, and eight target times for each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from forcefree.benchmark.md17_data import HeavyTrajectory
from forcefree.benchmark.md17_splits import HORIZON
from forcefree.data.importing.md17 import MD17_SPACING
from forcefree.errors import ForcefreeError
from forcefree.state import State

TARGETS = 8
"""Times asked for after each start."""

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Task:
    """Some starts with the times that are asked for.

    Attributes:
        trajectory: Where they lie.
        starts: Frames, shape (n_starts,).
        offsets: Frames after each start, ascending, shape (n_starts, n_times).
    """

    trajectory: HeavyTrajectory
    starts: Indices
    offsets: Indices

    def batch(self, rows: slice | Indices) -> tuple[State, Tensor, Tensor]:
        """Start states, times (n_times, n_systems) in fs, and true positions (n_times, n_systems * n_atoms, 3) in Å."""
        starts, offsets = self.starts[rows], self.offsets[rows]
        times = torch.from_numpy(MD17_SPACING * offsets.T.astype(np.float64))
        return self.trajectory.start_state(starts), times, self.trajectory.targets(starts, offsets)

    def batches(self, size: int) -> Iterator[tuple[State, Tensor, Tensor]]:
        """All of them in order."""
        for first in range(0, len(self.starts), size):
            yield self.batch(slice(first, first + size))


def uniform_offsets(count: int) -> Indices:
    """The eight equal parts of the horizon for every start, in frames, shape (count, 8)."""
    return np.tile(HORIZON * np.arange(1, TARGETS + 1) // TARGETS, (count, 1))


def irregular_offsets(count: int, seed: int = 0) -> Indices:
    """Eight distinct frames of the horizon drawn for each start, ascending, shape (count, 8)."""
    rng = np.random.default_rng(seed)
    return np.sort(rng.permuted(np.tile(np.arange(1, HORIZON + 1), (count, 1)), axis=1)[:, :TARGETS], axis=1)


def fresh_offsets(count: int, rng: np.random.Generator) -> Indices:
    """Times like the irregular ones for one batch of a training, shape (count, 8); now and then two of them fall together."""
    return np.sort(rng.integers(1, HORIZON + 1, (count, TARGETS)), axis=1)


def task_of(trajectory: HeavyTrajectory, starts: Indices, sampling: str, seed: int = 0) -> Task:
    """Starts with uniform or irregular times.

    Raises:
        ForcefreeError: If the sampling is neither.
    """
    if sampling == "uniform":
        return Task(trajectory, starts, uniform_offsets(len(starts)))
    if sampling == "irregular":
        return Task(trajectory, starts, irregular_offsets(len(starts), seed))
    raise ForcefreeError(f"there is no sampling '{sampling}'; there are uniform, irregular")
