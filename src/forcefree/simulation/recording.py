"""Recorded frames on their way to a file: collected for all replicas, handed on in blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from forcefree.data.trajectory import Trajectory
from forcefree.models.forecaster import Frames
from forcefree.state import State

Floats = NDArray[np.float64]
_BLOCK_BYTES = 1 << 25
_BLOCK_FRAMES = 512


@dataclass(frozen=True)
class Block:
    """Consecutive frames of all replicas.

    Attributes:
        times: fs, shape (n_frames,).
        positions: Å, shape (n_frames, n_atoms, 3).
        velocities: Å/fs, shape (n_frames, n_atoms, 3).
        counts: How many of the frames, from the first, are good in each replica, shape (n_systems,).
    """

    times: Floats
    positions: Floats
    velocities: Floats
    counts: NDArray[np.int64]

    @classmethod
    def empty(cls, state: State) -> Block:
        """A block without frames."""
        nothing = np.empty((0, state.n_atoms, 3))
        return cls(np.empty(0), nothing, nothing, np.zeros(state.n_systems, dtype=np.int64))


class Reporter(Protocol):
    """Something that keeps frames."""

    def append(self, block: Block) -> None:
        """Take the next frames."""

    def flush(self) -> dict[str, Any]:
        """Make everything taken so far safe, and say in JSON values where a continuation has to begin."""

    def close(self, notes: dict[int, dict[str, Any]]) -> None:
        """Finish; ``notes`` are JSON values that belong to systems of the batch, such as why one was stopped."""


class FrameBuffer:
    """Collect frames until there are enough for a block."""

    def __init__(self, n_systems: int, n_atoms: int) -> None:
        self.limit = max(1, min(_BLOCK_FRAMES, _BLOCK_BYTES // (48 * n_atoms)))
        self._counts = np.zeros(n_systems, dtype=np.int64)
        self._times: list[float] = []
        self._positions: list[Tensor] = []
        self._velocities: list[Tensor] = []

    @property
    def full(self) -> bool:
        """Whether a block should be taken now."""
        return len(self._times) >= self.limit

    def add(self, times: Sequence[float], frames: Frames | State, running: Tensor) -> None:
        """Add frames in which the replicas of the mask ``running`` (n_systems,) are good."""
        positions, velocities = frames.positions, frames.velocities
        self._times.extend(times)
        if isinstance(frames, State):
            positions, velocities = positions[None], velocities[None]
        self._positions.append(positions)
        self._velocities.append(velocities)
        self._counts += len(times) * running.cpu().numpy()

    def take(self) -> Block | None:
        """The frames so far, None where there are none; the buffer is empty afterwards."""
        if not self._times:
            return None
        block = Block(
            times=np.array(self._times),
            positions=torch.cat(self._positions).cpu().numpy(),
            velocities=torch.cat(self._velocities).cpu().numpy(),
            counts=self._counts.copy(),
        )
        self._counts[:] = 0
        for kept in (self._times, self._positions, self._velocities):
            kept.clear()
        return block


def replica_trajectories(state: State, names: Sequence[int], block: Block, provenance: dict[str, Any]) -> list[Trajectory]:
    """A block as one trajectory per replica, named ``replica_0000`` and so on; empty ones included."""
    trajectories = []
    stop = 0
    for index, (name, size) in enumerate(zip(names, state.sizes.tolist(), strict=True)):
        start, stop = stop, stop + size
        good = slice(0, int(block.counts[index]))
        trajectories.append(
            Trajectory(
                name=f"replica_{name:04d}",
                numbers=state.numbers[start:stop].cpu().numpy(),
                masses=state.masses[start:stop].cpu().numpy(),
                times=block.times[good],
                positions=block.positions[good, start:stop],
                velocities=block.velocities[good, start:stop],
                cell=state.cell[index].cpu().numpy(),
                pbc=state.pbc[index].cpu().numpy(),
                provenance={**provenance, "replica": name},
            )
        )
    return trajectories


class MemoryReporter:
    """Keep all frames in memory, for simulations without an output file."""

    def __init__(self, state: State, names: Sequence[int], provenance: dict[str, Any]) -> None:
        self._state, self._names, self._provenance = state, names, provenance
        self._blocks = [Block.empty(state)]
        self.trajectories: list[Trajectory] = []

    def append(self, block: Block) -> None:
        """Take the next frames."""
        self._blocks.append(block)

    def flush(self) -> dict[str, Any]:
        """Nothing to make safe."""
        return {}

    def close(self, notes: dict[int, dict[str, Any]]) -> None:
        """Put the trajectories together; as in a file, those without a frame are none."""
        whole = Block(
            times=np.concatenate([b.times for b in self._blocks]),
            positions=np.concatenate([b.positions for b in self._blocks]),
            velocities=np.concatenate([b.velocities for b in self._blocks]),
            counts=np.sum([b.counts for b in self._blocks], axis=0),
        )
        trajectories = replica_trajectories(self._state, self._names, whole, self._provenance)
        for index, values in notes.items():
            trajectories[index].provenance.update(values)
        self.trajectories = [trajectory for trajectory in trajectories if len(trajectory)]
