"""How far one forecast of a periodic system is from the truth, in the measure of TrajCast's table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from ase import Atoms, units
from ase.md.verlet import VelocityVerlet
from torch import Tensor

from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError
from forcefree.models.forecaster import Forecaster
from forcefree.reference.calculators import build_calculator
from forcefree.reference.config import CalculatorConfig
from forcefree.training.windows import Windows, WindowSource

_AT_ONCE = 4
"""Windows in one batch, which bounds the memory."""

PAST = 2
"""Frames of past that windows have."""


@dataclass(frozen=True)
class StepError:
    """Mean absolute errors after one forecast, as shares of what moved and of how fast.

    Attributes:
        displacement: Error of a coordinate's displacement over the mean absolute displacement, %.
        velocity: Error of a velocity component over the mean absolute velocity component, %.
    """

    displacement: float
    velocity: float

    @classmethod
    def of(cls, positions: Tensor, velocities: Tensor, windows: Windows, index: int) -> StepError:
        """Compare forecast positions (Å) and velocities (Å/fs) with those at one of the times of the windows."""
        start = windows.history[-1]
        moved = windows.positions[index] - start.positions
        lost = (positions - windows.positions[index]).abs().mean() / moved.abs().mean()
        slowed = (velocities - windows.velocities[index]).abs().mean() / windows.velocities[index].abs().mean()
        return cls(100.0 * float(lost), 100.0 * float(slowed))

    @classmethod
    def mean(cls, errors: Sequence[StepError]) -> StepError:
        """Average of equal batches."""
        return cls(float(np.mean([e.displacement for e in errors])), float(np.mean([e.velocity for e in errors])))


Errors = dict[float, StepError]
"""By the time of the forecast in fs."""


def draw_windows(runs: Sequence[Trajectory], times: Sequence[float], count: int, seed: int) -> list[Windows]:
    """Windows of held-out runs, in batches, two frames of past each.

    Args:
        runs: With velocities, equally spaced.
        times: fs, multiples of the spacing.
        count: Windows in all, rounded up to whole batches.
        seed: What is drawn.

    Raises:
        ForcefreeError: If a time is no multiple of the spacing, or the runs are too short.
    """
    spacing = runs[0].spacing
    for time in times:
        if abs(round(time / spacing) * spacing - time) > 1e-3 * spacing or time < 0.5 * spacing:
            raise ForcefreeError(f"a forecast of {time:g} fs cannot be judged by frames that are {spacing:g} fs apart")
    source = WindowSource(runs, max(times), history_length=PAST, time_reversal=False, seed=seed)
    return [source.draw(_AT_ONCE, number) for number in range(-(-count // _AT_ONCE))]


def model_errors(model: Forecaster, batches: Sequence[Windows], times: Sequence[float]) -> Errors:
    """Of single forecasts of up to ``t_max``."""
    found: dict[float, list[StepError]] = {time: [] for time in times}
    for windows in batches:
        start = windows.history[-1]
        elapsed = torch.tensor(times, dtype=torch.float64)[:, None].expand(-1, start.n_systems)
        with torch.inference_mode():
            frames = model.forecast(windows.history[-model.card.history_length :], elapsed)
        for row, time in enumerate(times):
            ahead = frames.state(row, start)
            found[time].append(StepError.of(ahead.positions, ahead.velocities, windows, _index(windows, time)))
    return {time: StepError.mean(errors) for time, errors in found.items()}


def extrapolation_errors(batches: Sequence[Windows], times: Sequence[float], *, accelerated: bool) -> Errors:
    """Of free flight, or of the constant acceleration between the last two frames."""
    found: dict[float, list[StepError]] = {time: [] for time in times}
    for windows in batches:
        before, last = windows.history[-2], windows.history[-1]
        elapsed = float(windows.times[0, 0])
        acceleration = (last.velocities - before.velocities) / elapsed if accelerated else torch.zeros_like(last.velocities)
        for time in times:
            positions = last.positions + time * last.velocities + 0.5 * time**2 * acceleration
            found[time].append(StepError.of(positions, last.velocities + time * acceleration, windows, _index(windows, time)))
    return {time: StepError.mean(errors) for time, errors in found.items()}


def dynamics_errors(batches: Sequence[Windows], times: Sequence[float], calculator: CalculatorConfig, timestep: float) -> Errors:
    """Of velocity Verlet under the true forces with a step of ``timestep`` fs.

    Raises:
        ForcefreeError: If a time is no multiple of the step.
    """
    for time in times:
        if abs(round(time / timestep) * timestep - time) > 1e-6:
            raise ForcefreeError(f"{time:g} fs is no multiple of a step of {timestep:g} fs")
    found: dict[float, list[StepError]] = {time: [] for time in times}
    for windows in batches:
        frames = integrate(windows.history[-1].to_atoms(), calculator, times, timestep)
        for row, time in enumerate(times):
            found[time].append(StepError.of(frames[row, 0], frames[row, 1], windows, _index(windows, time)))
    return {time: StepError.mean(errors) for time, errors in found.items()}


def integrate(systems: Sequence[Atoms], calculator: CalculatorConfig, times: Sequence[float], timestep: float) -> Tensor:
    """Velocity Verlet of one system after another.

    Args:
        systems: With velocities.
        calculator: Whose forces.
        times: fs, rising, multiples of the step.
        timestep: fs.

    Returns:
        Positions (Å) and velocities (Å/fs) at the times, shape (n_times, 2, n_atoms of all systems, 3).
    """
    paths = []
    for atoms in systems:
        atoms.calc = build_calculator(calculator)
        verlet = VelocityVerlet(atoms, timestep * units.fs)
        frames, done = [], 0
        for time in times:
            steps = round(time / timestep)
            verlet.run(steps - done)
            done = steps
            frames.append(np.stack([atoms.positions, atoms.get_velocities() * units.fs]))
        paths.append(np.stack(frames))
    return torch.tensor(np.concatenate(paths, axis=2))


def _index(windows: Windows, time: float) -> int:
    return int((windows.times[:, 0] - time).abs().argmin())
