"""Delay modes: the best linear forecast of vibrations, found without data."""

from __future__ import annotations

import pytest
import torch
from ase import Atoms
from torch import Tensor

from forcefree.nn.delay import DelayModes, brought_along, departures_from
from forcefree.state import State


def vibration(frequency: float, frames: int, phase: float = 0.7) -> tuple[Tensor, Tensor]:
    """Positions and velocities of one atom that vibrates along x while it flies along y."""
    time = torch.arange(frames, dtype=torch.float64)
    zero = torch.zeros_like(time)
    x, v = torch.cos(frequency * time + phase) / frequency, -torch.sin(frequency * time + phase)
    return torch.stack([x, 0.3 * time, zero], 1)[:, None], torch.stack([v, zero + 0.3, zero], 1)[:, None]


def test_departures_of_free_flight_vanish_and_those_of_a_vibration_are_analytic() -> None:
    positions, velocities = vibration(0.4, 12)
    rows, steps = torch.tensor([4, 6]), torch.tensor([-2, 3])
    found = departures_from(positions, velocities, steps, rows, 1.0)
    assert found.shape == (2, 1, 3, 4)
    assert float(found[:, :, 1:].abs().max()) < 1e-14
    expected = positions[9, 0, 0] - positions[6, 0, 0] - 3.0 * velocities[6, 0, 0]
    assert float(found[1, 0, 0, 1]) == pytest.approx(float(expected))
    assert float(found[1, 0, 0, 2]) == pytest.approx(float(velocities[4, 0, 0] - velocities[6, 0, 0]))


def test_vibrations_inside_the_band_are_forecast() -> None:
    lags, horizon = 8, 8
    modes = DelayModes.of(lags, horizon, 1.0, 1e-7)
    parts = [vibration(frequency, lags + horizon + 1) for frequency in (0.1, 0.3, 0.55)]
    positions, velocities = (sum(part) for part in zip(*parts, strict=True))
    row = torch.tensor([lags])
    past = departures_from(positions, velocities, -torch.arange(1, lags + 1), row, 1.0)
    future = departures_from(positions, velocities, torch.arange(1, horizon + 1), row, 1.0)
    error = past @ modes.basis @ modes.forecast - future
    assert float(error.abs().max()) < 0.1 * float(future.abs().max())


def test_modes_are_of_order_one_and_noise_below_the_resolution_is_not_amplified() -> None:
    sharp, dull = DelayModes.of(4, 8, 1.0, 1e-6), DelayModes.of(4, 8, 1.0, 1e-2)
    noise = 1e-2 * torch.randn(2000, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert float((noise @ dull.basis).square().mean().sqrt()) < 1.1
    assert float((noise @ sharp.basis).square().mean().sqrt()) > 100.0
    assert float(sharp.spread[7]) == pytest.approx(1.0)
    assert bool((sharp.spread[:7] < sharp.spread[1:8]).all())


def test_atoms_that_moved_differently_all_along_felt_the_same_forces() -> None:
    positions, velocities = vibration(0.4, 6)
    state = State.from_atoms([Atoms("H")])
    frames = [
        state.with_(positions=x, velocities=v, time=torch.full_like(state.time, float(t)))
        for t, (x, v) in enumerate(zip(positions, velocities, strict=True))
    ]
    shift, kick = torch.tensor([[0.1, -0.2, 0.3]], dtype=torch.float64), torch.tensor([[0.01, 0.02, -0.03]], dtype=torch.float64)
    moved = [brought_along(frame, frames[-1].time, shift, kick) for frame in frames]
    torch.testing.assert_close(moved[-1].positions, positions[-1] + shift)
    torch.testing.assert_close(moved[0].velocities, velocities[0] + kick)
    rows, steps = torch.tensor([5]), -torch.arange(1, 6)
    before = departures_from(positions, velocities, steps, rows, 1.0)
    after = departures_from(torch.stack([f.positions for f in moved]), torch.stack([f.velocities for f in moved]), steps, rows, 1.0)
    torch.testing.assert_close(after, before, rtol=0.0, atol=1e-12)
