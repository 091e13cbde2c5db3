r"""Delay vectors of vibrations: how the recent past of an atom departs from free flight, and what that says of its future.

Past and future departures are sums over the same vibrations, :math:`x(t) = \omega^{-1} \cos(\omega t + \varphi)` with equal energy in
every one. Over a band of frequencies their covariances are known without any data, which gives coordinates of the past of
order one (principal components) and the best linear forecast from them. Both are functions of the sampling alone, so that
no statistics of the future enter.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from forcefree.state import State

_HIGHEST = 0.75  # rad/fs, just above the O-H stretch
_FREQUENCIES = 400


@dataclass(frozen=True)
class DelayModes:
    """Coordinates of the past and the linear forecast from them; unit: the rms displacement from free flight at the horizon.

    Attributes:
        basis: From past departures to modes, shape (2 lags, n_modes).
        forecast: From modes to future departures, shape (n_modes, 2 horizon).
        spread: Root mean square of the future departures, shape (2 horizon,).
    """

    basis: Tensor
    forecast: Tensor
    spread: Tensor

    @classmethod
    def of(cls, lags: int, horizon: int, spacing: float, noise: float) -> DelayModes:
        """Modes of ``lags`` past frames, ``spacing`` fs apart, for a forecast of ``horizon`` frames.

        Args:
            lags: Frames before the present one.
            horizon: Frames after it.
            spacing: fs.
            noise: Departures below this (in the unit of the modes) are not resolved; it keeps errors of a forecast from being
                amplified when that forecast becomes the past of the next.
        """
        past = _signals(-spacing * torch.arange(1, lags + 1, dtype=torch.float64), spacing)
        future = _signals(spacing * torch.arange(1, horizon + 1, dtype=torch.float64), spacing)
        unit = future[:, horizon - 1].square().mean().sqrt()
        past, future = past / unit, future / unit
        values, vectors = torch.linalg.eigh(past.T @ past / len(past))
        basis = vectors.flip(1) / (values.flip(0).clamp_min(0.0) + noise**2).sqrt()
        return cls(basis, (past @ basis).T @ future / len(past), future.square().mean(dim=0).sqrt())


def departures_from(positions: Tensor, velocities: Tensor, steps: Tensor, rows: Tensor, spacing: float) -> Tensor:
    """Departures from the free flight of some frames, at other frames.

    Args:
        positions: Å, shape (n_frames, n_atoms, 3).
        velocities: Å/fs, shape (n_frames, n_atoms, 3).
        steps: Frames from the origin to the frame looked at, shape (n_steps,).
        rows: Frames that are origins, shape (n_rows,).
        spacing: fs between frames.

    Returns:
        Displacements, then velocities times the spacing, Å, shape (n_rows, n_atoms, 3, 2 n_steps); frames outside the window
        are taken at its edge and mean nothing.
    """
    there = (rows[:, None] + steps).clamp(0, len(positions) - 1)
    elapsed = (spacing * steps).to(positions)[:, None, None]
    moved = positions[there] - positions[rows][:, None] - velocities[rows][:, None] * elapsed
    faster = spacing * (velocities[there] - velocities[rows][:, None])
    return torch.cat([moved, faster], dim=1).permute(0, 2, 3, 1)


def brought_along(frame: State, time: Tensor, shift: Tensor, kick: Tensor) -> State:
    """An earlier frame of atoms that had moved differently all along: departures of the past from free flight stay as they are.

    Args:
        frame: As it was.
        time: fs, of the present frame, shape (n_systems,).
        shift: How far the present frame lies from where it was, Å, shape (n_atoms, 3).
        kick: How much faster its atoms are, Å/fs, shape (n_atoms, 3).
    """
    age = (frame.time - time)[frame.system, None]
    return frame.with_(positions=frame.positions + shift + age * kick, velocities=frame.velocities + kick)


def _signals(times: Tensor, spacing: float) -> Tensor:
    """Departures of a band of vibrations in both phases, shape (n_signals, 2 n_times)."""
    frequency = torch.linspace(_HIGHEST / _FREQUENCIES, _HIGHEST, _FREQUENCIES, dtype=torch.float64)[:, None]
    angle = frequency * times
    even = torch.cat([(angle.cos() - 1.0) / frequency, -spacing * angle.sin()], dim=1)
    odd = torch.cat([(angle.sin() - angle) / frequency, spacing * (angle.cos() - 1.0)], dim=1)
    return torch.cat([even, odd])
