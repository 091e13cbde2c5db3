"""Training examples: windows of true trajectories, drawn by a counter so that a resumed training sees the same ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from forcefree.data.checks import check_finite
from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError
from forcefree.state import State


@dataclass(frozen=True)
class Windows:
    """A batch of examples.

    Attributes:
        history: States that a forecast starts from, oldest first.
        times: fs after the last of them, shape (n_times, n_systems).
        positions: True positions at those times in Å, float64, shape (n_times, n_atoms, 3).
        velocities: True velocities in Å/fs, float64, shape (n_times, n_atoms, 3).
        forces: True forces in eV/Å at those times, shape (n_times, n_atoms, 3), or None where they were not recorded.
        energies: True potential energies in eV at the last frame of the history and then at those times, float64, shape
            (1 + n_times, n_systems), or None where they were not recorded.
    """

    history: tuple[State, ...]
    times: Tensor
    positions: Tensor
    velocities: Tensor
    forces: Tensor | None = None
    energies: Tensor | None = None

    def to(self, device: torch.device | str) -> Windows:
        """The same batch on another device."""
        return Windows(
            tuple(state.to(device) for state in self.history),
            self.times.to(device),
            self.positions.to(device),
            self.velocities.to(device),
            None if self.forces is None else self.forces.to(device),
            None if self.energies is None else self.energies.to(device),
        )

    def departures(self) -> tuple[Tensor, Tensor]:
        """True departures from free flight: Å and Å/fs, each of shape (n_times, n_atoms, 3)."""
        last = self.history[-1]
        elapsed = self.times[:, last.system, None]
        return self.positions - last.positions - last.velocities * elapsed, self.velocities - last.velocities


class WindowSource:
    """Draws windows from trajectories.

    Args:
        trajectories: With velocities, equally spaced, all with the same spacing.
        horizon: Length of the future part of a window in fs, a multiple of the spacing.
        history_length: Frames that a forecast starts from, one spacing apart.
        stride: Keep only every ``stride``-th frame of the future, for a model that has no forecast in between.
        time_reversal: Run half of the windows backwards.
        seed: Together with the number of the batch it decides what is drawn.

    Raises:
        ForcefreeError: If velocities are missing, spacings differ, or trajectories are too short.
    """

    def __init__(
        self,
        trajectories: Sequence[Trajectory],
        horizon: float,
        *,
        history_length: int = 1,
        stride: int = 1,
        time_reversal: bool = True,
        seed: int = 0,
    ) -> None:
        if not trajectories:
            raise ForcefreeError("there is no trajectory to draw windows from; add data or hold out less of it")
        self.spacing = trajectories[0].spacing
        self.future = round(horizon / self.spacing)
        self.history_length, self.stride, self.time_reversal, self.seed = history_length, stride, time_reversal, seed
        if self.future < 1 or abs(self.future * self.spacing - horizon) > 1e-3 * self.spacing:
            raise ForcefreeError(f"a horizon of {horizon:g} fs is not a multiple of the {self.spacing:g} fs between frames")
        span = self.future + history_length
        for trajectory in trajectories:
            _check(trajectory, self.spacing, span)
        self._positions = [torch.from_numpy(t.positions) for t in trajectories]
        self._velocities = [torch.from_numpy(t.velocities) for t in trajectories if t.velocities is not None]
        forces = [torch.from_numpy(t.forces) for t in trajectories if t.forces is not None]
        self._forces = forces if len(forces) == len(trajectories) else None
        energies = [torch.from_numpy(t.energies)[:, None, None] for t in trajectories if t.energies is not None]
        self._energies = energies if len(energies) == len(trajectories) else None
        self._fixed = [_fixed_part(t) for t in trajectories]
        counts = np.array([len(t) - span + 1 for t in trajectories], dtype=np.float64)
        self._weights = counts / counts.sum()

    def draw(self, batch: int, counter: int) -> Windows:
        """Batch number ``counter``; the same numbers always give the same windows.

        Args:
            batch: How many windows.
            counter: Any number that is not used twice.
        """
        rng = np.random.Generator(np.random.Philox(key=[self.seed, counter]))
        chosen = rng.choice(len(self._weights), size=batch, p=self._weights)
        uniform = rng.random(batch)
        backwards = rng.random(batch) < 0.5 if self.time_reversal else np.zeros(batch, dtype=bool)
        span = self.future + self.history_length
        pieces: list[tuple[int, slice, bool]] = []
        for index, fraction, reverse in zip(chosen.tolist(), uniform.tolist(), backwards.tolist(), strict=True):
            first = int(fraction * (len(self._positions[index]) - span + 1))
            pieces.append((index, slice(first, first + span), reverse))
        return self._assemble(pieces)

    @staticmethod
    def _joined(arrays: list[Tensor], pieces: list[tuple[int, slice, bool]], sign: float = 1.0) -> Tensor:
        """Pieces side by side, shape (span, n_atoms, ...); those that run backwards turned round, times ``sign``."""
        return torch.cat([sign * arrays[i][rows].flip(0) if back else arrays[i][rows] for i, rows, back in pieces], dim=1)

    def _assemble(self, pieces: list[tuple[int, slice, bool]]) -> Windows:
        positions = self._joined(self._positions, pieces)
        velocities = self._joined(self._velocities, pieces, -1.0)
        fixed = [self._fixed[index] for index, _, _ in pieces]
        system = torch.repeat_interleave(torch.arange(len(pieces)), torch.tensor([len(part.numbers) for part in fixed]))
        present = State(
            positions=positions[0],
            velocities=velocities[0],
            numbers=torch.cat([part.numbers for part in fixed]),
            masses=torch.cat([part.masses for part in fixed]),
            cell=torch.cat([part.cell for part in fixed]),
            pbc=torch.cat([part.pbc for part in fixed]),
            system=system,
            time=torch.zeros(len(pieces), dtype=torch.float64),
        )
        past = self.history_length
        history = tuple(
            present.with_(positions=positions[k], velocities=velocities[k], time=present.time + k * self.spacing) for k in range(past)
        )
        times = self.spacing * torch.arange(self.stride, self.future + 1, self.stride, dtype=torch.float64)
        kept = slice(past + self.stride - 1, None, self.stride)
        forces = None if self._forces is None else self._joined(self._forces, pieces)[kept]
        energies = None
        if self._energies is not None:
            recorded = self._joined(self._energies, pieces)[..., 0]
            energies = torch.cat([recorded[past - 1 : past], recorded[kept]])
        return Windows(history, times[:, None].expand(-1, len(pieces)), positions[kept], velocities[kept], forces, energies)


def window_source(
    trajectories: Sequence[Trajectory], horizon: float, timing: Mapping[str, Any], *, time_reversal: bool = True, seed: int = 0
) -> WindowSource:
    """Windows for a model that starts from and forecasts certain frames only.

    Where the frames of its history are further apart than those of the data, every phase of the coarser grid is used.

    Args:
        trajectories: Equally spaced.
        horizon: Length of the future in fs.
        timing: ``history_length``, ``history_spacing`` (fs) and ``fixed_times`` (fs) where they are not the defaults.
        time_reversal: Run half of the windows backwards.
        seed: Decides what is drawn.

    Raises:
        ForcefreeError: If the frames of the history are not a multiple of the spacing of the data apart.
    """
    spacing = timing.get("history_spacing")
    if trajectories and spacing is not None:
        trajectories = [part for trajectory in trajectories for part in _thinned(trajectory, float(spacing))]
    fixed = timing.get("fixed_times")
    stride = round(min(fixed) / trajectories[0].spacing) if trajectories and fixed else 1
    length = int(timing.get("history_length", 1))
    return WindowSource(trajectories, horizon, history_length=length, stride=stride, time_reversal=time_reversal, seed=seed)


def _thinned(trajectory: Trajectory, spacing: float) -> list[Trajectory]:
    stride = round(spacing / trajectory.spacing)
    if stride < 1 or abs(stride * trajectory.spacing - spacing) > 1e-3 * spacing:
        raise ForcefreeError(
            f"frames of the history are {spacing:g} fs apart, not a multiple of the {trajectory.spacing:g} fs between those of "
            f"trajectory '{trajectory.name}'"
        )
    return [trajectory.frames(phase, len(trajectory), stride) for phase in range(stride)]


def _fixed_part(trajectory: Trajectory) -> State:
    count = len(trajectory.numbers)
    empty = torch.zeros(count, 3, dtype=torch.float64)
    return State(
        positions=empty,
        velocities=empty,
        numbers=torch.from_numpy(trajectory.numbers),
        masses=torch.from_numpy(trajectory.masses),
        cell=torch.from_numpy(trajectory.cell)[None],
        pbc=torch.from_numpy(trajectory.pbc)[None],
        system=torch.zeros(count, dtype=torch.int64),
        time=torch.zeros(1, dtype=torch.float64),
    )


def _check(trajectory: Trajectory, spacing: float, span: int) -> None:
    if trajectory.velocities is None:
        raise ForcefreeError(f"trajectory '{trajectory.name}' has no velocities; import it with derived ones or record them")
    if len(trajectory) < span:
        raise ForcefreeError(f"trajectory '{trajectory.name}' has {len(trajectory)} frames, but a window needs {span}")
    if abs(trajectory.spacing - spacing) > 1e-4 * spacing:
        raise ForcefreeError(
            f"trajectory '{trajectory.name}' has frames {trajectory.spacing:g} fs apart, others {spacing:g} fs; train on one spacing"
        )
    check_finite(trajectory)
