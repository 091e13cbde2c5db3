"""Forecasts of a window without any network: what a forecaster must beat to have learnt something."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from forcefree.nn.delay import departures_from
from forcefree.training.windows import Windows

Predictor: TypeAlias = Callable[[Windows], Tensor]
"""From windows to forecast positions at all their times, Å, shape (n_times, n_atoms, 3)."""


def copy_last(windows: Windows) -> Tensor:
    """Nothing moves."""
    return windows.history[-1].positions.expand_as(windows.positions)


def ballistic(windows: Windows) -> Tensor:
    """Straight flight with the last velocities."""
    last = windows.history[-1]
    return last.positions + windows.times[:, last.system, None] * last.velocities


def quadratic(windows: Windows) -> Tensor:
    """Constant acceleration, from the velocities of the last two frames."""
    before, last = windows.history[-2:]
    acceleration = (last.velocities - before.velocities) / (last.time - before.time)[last.system, None]
    return ballistic(windows) + 0.5 * windows.times[:, last.system, None].square() * acceleration


_STILL = 1e-12  # Å, below which a departure from free flight is none


@dataclass(frozen=True)
class RidgeForecast:
    """Linear autoregression on the window, one for each element, the same along x, y and z.

    Attributes:
        weights: By atomic number: from departures of the past to those of the future, shape (2 lags, n_times).
        spacing: fs between frames.
    """

    weights: dict[int, Tensor]
    spacing: float

    @classmethod
    def fit(cls, windows: Windows, ridge: float = 1e-10) -> RidgeForecast:
        """Least squares on training windows, over all frames of their history.

        Args:
            windows: History and true future.
            ridge: Penalty on weights of inputs scaled to one.
        """
        spacing = float((windows.history[-1].time - windows.history[-2].time)[0])
        past, future = _past(windows, spacing), windows.departures()[0].permute(1, 2, 0)
        numbers = windows.history[-1].numbers
        weights = {}
        for number in torch.unique(numbers).tolist():
            inputs, outputs = past[numbers == number].flatten(0, 1), future[numbers == number].flatten(0, 1)
            scale = inputs.square().mean(dim=0).sqrt().clamp_min(_STILL)
            inputs = inputs / scale
            gram = inputs.T @ inputs / len(inputs) + ridge * torch.eye(len(scale), dtype=inputs.dtype)
            weights[number] = torch.linalg.solve(gram, inputs.T @ outputs / len(inputs)) / scale[:, None]
        return cls(weights, spacing)

    def __call__(self, windows: Windows) -> Tensor:
        """Positions at all times of the windows."""
        past, numbers = _past(windows, self.spacing), windows.history[-1].numbers
        departures = past.new_zeros(*past.shape[:2], len(windows.times))
        for number, weights in self.weights.items():
            departures[numbers == number] = past[numbers == number] @ weights
        return ballistic(windows) + departures.permute(2, 0, 1)


def _past(windows: Windows, spacing: float) -> Tensor:
    """Departures of the whole history from the free flight of its last frame, shape (n_atoms, 3, 2 lags)."""
    positions = torch.stack([state.positions for state in windows.history])
    velocities = torch.stack([state.velocities for state in windows.history])
    lags = len(positions) - 1
    return departures_from(positions, velocities, -torch.arange(1, lags + 1), torch.tensor([lags]), spacing)[0]


def hankel_dmd(windows: Windows, delays: int = 4, rank: int = 6) -> Tensor:
    """Dynamic mode decomposition of the delay embedding of positions, fitted to each window alone.

    Source: Arbabi and Mezić, SIAM J. Appl. Dyn. Syst. 16, 2096 (2017).

    Args:
        windows: Systems of equal size.
        delays: Frames in a delay vector.
        rank: Singular vectors kept.
    """
    systems = windows.history[-1].n_systems
    series = torch.stack([state.positions for state in windows.history]).view(len(windows.history), systems, -1)
    centre = series[-1]
    frames = (series - centre).transpose(0, 1)
    columns = frames.shape[1] - delays + 1
    embedded = torch.cat([frames[:, shift : shift + columns] for shift in range(delays)], dim=2).transpose(1, 2)
    before, after = embedded[..., :-1], embedded[..., 1:]
    left, values, right = torch.linalg.svd(before, full_matrices=False)
    kept = min(rank, values.shape[-1])
    left, right = left[..., :kept], right[:, :kept].transpose(1, 2)
    values = values[:, :kept]
    inverse = torch.where(values > 1e-10 * values[:, :1], 1.0 / values, 0.0)
    step = left.transpose(1, 2) @ after @ right * inverse[:, None]
    coordinates = left.transpose(1, 2) @ embedded[..., -1:]
    forecast = []
    for _ in range(len(windows.times)):
        coordinates = step @ coordinates
        forecast.append((left @ coordinates)[:, -centre.shape[1] :, 0] + centre)
    return torch.stack(forecast).reshape(len(windows.times), -1, 3)
