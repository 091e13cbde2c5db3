"""Errors that validation watches, on flows that are known exactly, and the schedule of the learning rate."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from forcefree.data.trajectory import Trajectory
from forcefree.models.card import Card
from forcefree.models.forecaster import Forecaster
from forcefree.state import State
from forcefree.training.config import TrainingConfig
from forcefree.training.loss import Scales, unrolled_loss
from forcefree.training.module import ForecasterModule, one_step_errors, rollout_error
from forcefree.training.windows import Windows, WindowSource

OMEGA = 2.0 * math.pi / 24.0
"""Angular frequency in 1/fs of two equal masses on a spring of zero rest length."""


class Oscillator(Forecaster):
    """The exact flow of a harmonic pair, slowed by a factor where that is wanted."""

    def __init__(self, pace: float = 1.0) -> None:
        super().__init__(Card(name="pair", model="pair", species=[8], t_max=4.0, cutoff=5.0))
        self.pace = pace

    def departures(self, history: tuple[State, ...], times: Tensor) -> tuple[Tensor, Tensor]:
        state = history[-1]
        centre = state.mean_by_mass(state.positions)[state.system]
        arm, phase = state.positions - centre, OMEGA * self.pace * times[:, state.system, None]
        speed = state.velocities / (OMEGA * self.pace)
        positions = arm * (phase.cos() - 1.0) + speed * (phase.sin() - phase)
        return positions, -OMEGA * self.pace * arm * phase.sin() + state.velocities * (phase.cos() - 1.0)


def pair(seed: int, frames: int = 60) -> Trajectory:
    rng = np.random.default_rng(seed)
    arm, speed = rng.normal(size=3), 0.1 * rng.normal(size=3)
    phase = OMEGA * np.arange(frames)[:, None]
    relative = arm * np.cos(phase) + speed / OMEGA * np.sin(phase)
    motion = -OMEGA * arm * np.sin(phase) + speed * np.cos(phase)
    both = [np.stack([values, -values], axis=1) for values in (relative, motion)]
    return Trajectory(f"run_{seed}", np.array([8, 8]), np.full(2, 15.999), np.arange(frames, dtype=float), *both)


@pytest.fixture
def windows() -> Windows:
    return WindowSource([pair(seed) for seed in range(3)], 16.0, time_reversal=True, seed=4).draw(12, 0)


def first(windows: Windows, count: int) -> Windows:
    return Windows(windows.history, windows.times[:count], windows.positions[:count], windows.velocities[:count])


def test_the_exact_flow_has_no_error_forwards_and_backwards(windows: Windows) -> None:
    exact = Oscillator()
    assert float(rollout_error(exact, windows)) < 1e-12
    assert all(float(value) < 1e-10 for value in one_step_errors(exact, first(windows, 4)).values())
    scales = Scales.measure(WindowSource([pair(seed) for seed in range(3)], 4.0), 64)
    assert float(unrolled_loss(exact, windows, scales, unroll=4)) < 1e-10


def test_a_slow_clock_shows_in_the_rollout_as_its_lag(windows: Windows) -> None:
    """After time t the phase lags by (1 - pace) w t; the velocity error of a small lag is the lag, over all phases."""
    lag = 0.01 * OMEGA * 16.0
    error = float(rollout_error(Oscillator(pace=0.99), windows))
    assert 0.3 * lag < error < 3.0 * lag
    twice = float(rollout_error(Oscillator(pace=0.98), windows))
    assert twice == pytest.approx(2.0 * error, rel=0.1)


def test_free_flight_has_the_error_of_the_whole_departure(windows: Windows) -> None:
    class Still(Oscillator):
        def departures(self, history: tuple[State, ...], times: Tensor) -> tuple[Tensor, Tensor]:
            nothing = torch.zeros(len(times), history[-1].n_atoms, 3, dtype=torch.float64)
            return nothing, nothing

    short = first(windows, 4)
    errors = one_step_errors(Still(), short)
    positions, velocities = short.departures()
    assert float(errors["val_position_mae"]) == pytest.approx(float(positions[-1].abs().mean()))
    rms = float(short.velocities[-1].square().mean().sqrt())
    assert float(errors["val_velocity_percent"]) == pytest.approx(100.0 * float(velocities[-1].abs().mean()) / rms)


def test_the_learning_rate_rises_in_a_line_and_falls_along_a_cosine(windows: Windows, tmp_path: Path) -> None:
    values = {
        "data": {"files": ["x.h5"]}, "model": {"name": "pair"}, "optimizer": {"steps": 1000, "warmup": 100},
        "output": str(tmp_path / "m.safetensors"),
    }  # fmt: skip
    module = ForecasterModule(Oscillator(), TrainingConfig.parse(values, "test"), Scales(torch.ones(4), torch.ones(4), 1.0), windows)
    rates = np.array([module._rate(step) for step in range(1001)])
    assert rates[0] == pytest.approx(0.01, rel=0.01)
    assert np.all(np.diff(rates[:100]) > 0.0)
    assert np.all(np.diff(rates[100:]) < 0.0)
    assert rates[500] == pytest.approx(0.5, abs=0.01)
    assert 0.0 < rates[1000] < 0.01


@pytest.mark.parametrize("name", ["adam", "soap"])
def test_slow_blocks_keep_their_part_of_the_rate_along_the_whole_schedule(windows: Windows, tmp_path: Path, name: str) -> None:
    model = Oscillator()
    model.fast, model.slow, model.still = nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2)
    model.still.requires_grad_(False)
    values = {
        "data": {"files": ["x.h5"]}, "model": {"name": "pair"}, "output": str(tmp_path / "m.safetensors"), "rate_factors": {"slow": 0.1},
        "optimizer": {"name": name, "steps": 10, "warmup": 10, "learning_rate": 0.02},
    }  # fmt: skip
    module = ForecasterModule(model, TrainingConfig.parse(values, "test"), Scales(torch.ones(4), torch.ones(4), 1.0), windows)
    made = module.configure_optimizers()
    optimizer, schedule = made["optimizer"], made["lr_scheduler"]["scheduler"]
    before = [parameter.clone() for parameter in model.still.parameters()]
    for step in range(11):
        fast, slow = optimizer.param_groups
        assert (fast["lr"], slow["lr"]) == pytest.approx((0.02 * module._rate(step), 0.002 * module._rate(step)))
        assert {id(p) for p in slow["params"]} == {id(p) for p in model.slow.parameters()}
        sum(parameter.square().sum() for parameter in model.parameters()).backward()
        optimizer.step()
        schedule.step()
    assert made["lr_scheduler"]["interval"] == "step"
    assert all(torch.equal(now, then) for now, then in zip(model.still.parameters(), before, strict=True))
