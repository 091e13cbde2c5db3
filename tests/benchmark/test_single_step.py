"""Errors of single steps: what is known beforehand must come out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from ase import Atoms

import copper
from forcefree.benchmark.single_step import StepError, draw_windows, dynamics_errors, extrapolation_errors, integrate, model_errors
from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError
from forcefree.models.card import Card
from forcefree.models.forecaster import Forecaster
from forcefree.models.registry import build_model, find_architecture
from forcefree.reference.config import CalculatorConfig
from forcefree.units import KINETIC_UNIT


@pytest.fixture(scope="module")
def crystals() -> list[Trajectory]:
    return copper.runs(2, 40)


def two_frames() -> Forecaster:
    """A TrajCast of copper that knows the frame before the last."""
    options = {"channels": 8, "layers": 1, "refinements": 1, "nodes": 2, "past": copper.TIMESTEP}
    timing = find_architecture("trajcast").timing(options, 10.0)
    return build_model(Card(name="two", model="trajcast", options=options, species=[29], t_max=10.0, cutoff=4.0, **timing)).eval()


def accelerated(run: Trajectory) -> Trajectory:
    """Every atom with an acceleration of its own that never changes; all together have none."""
    rng = np.random.default_rng(1)
    speed, push = rng.normal(size=(2, *run.positions[0].shape)) * 1e-3
    push -= push.mean(axis=0)
    elapsed = run.times[:, None, None]
    return replace(
        run, positions=run.positions[0] + elapsed * speed + 0.5 * elapsed**2 * 1e-2 * push, velocities=speed + elapsed * 1e-2 * push
    )


def test_constant_acceleration_is_forecast_exactly_by_what_assumes_it_and_by_nothing_else(crystals: list[Trajectory]) -> None:
    batches = draw_windows([accelerated(run) for run in crystals], [4.0, 10.0], 8, 0)
    exact = extrapolation_errors(batches, [4.0, 10.0], accelerated=True)
    blind = extrapolation_errors(batches, [4.0, 10.0], accelerated=False)
    assert exact[10.0].displacement == pytest.approx(0.0, abs=1e-8)
    assert exact[10.0].velocity == pytest.approx(0.0, abs=1e-8)
    assert blind[10.0].velocity > blind[4.0].velocity > 1.0


def test_the_reference_at_its_own_time_step_makes_no_error_and_at_a_longer_one_does(crystals: list[Trajectory]) -> None:
    batches = draw_windows(crystals, [10.0, 20.0], 4, 0)
    calculator = CalculatorConfig.model_validate(copper.CALCULATOR)
    same = dynamics_errors(batches, [10.0, 20.0], calculator, copper.TIMESTEP)
    longer = dynamics_errors(batches, [10.0, 20.0], calculator, 10.0)
    assert same[20.0].velocity < 1e-6
    assert 0.1 < longer[20.0].velocity < 20.0


def test_velocity_verlet_of_a_spring_is_its_own_exact_map() -> None:
    """With a step of dt the map turns by 2 asin(w dt / 2) per step; two molecules keep their order and their own motion."""
    stiffness, mass, step = 5.0, 15.999, 4.0
    molecules = [Atoms("OO", positions=[[0.0, 0.0, 0.0], [0.0, 0.0, 1.5 + stretch]]) for stretch in (0.1, -0.05)]
    calculator = CalculatorConfig(name="springs:Springs", options={"stiffness": stiffness, "length": 1.5})
    times = [4.0, 12.0, 40.0]
    frames = integrate(molecules, calculator, times, step)
    assert frames.shape == (3, 2, 4, 3)
    turn = 2.0 * np.arcsin(0.5 * step * np.sqrt(stiffness / (0.5 * KINETIC_UNIT * mass)))
    for row, time in enumerate(times):
        lengths = (frames[row, 0, 1::2] - frames[row, 0, ::2])[:, 2]
        expected = 1.5 + np.cos(turn * time / step) * np.array([0.1, -0.05])
        np.testing.assert_allclose(lengths.numpy(), expected, atol=1e-6)
    np.testing.assert_allclose((frames[:, 1, ::2] + frames[:, 1, 1::2]).numpy(), 0.0, atol=1e-10)


def test_errors_are_relative_to_what_moved(crystals: list[Trajectory]) -> None:
    (windows,) = draw_windows(crystals, [10.0], 4, 0)
    moved = windows.positions[4] - windows.history[-1].positions
    error = StepError.of(windows.history[-1].positions + 0.9 * moved, 1.02 * windows.velocities[4], windows, 4)
    assert error.displacement == pytest.approx(10.0)
    assert error.velocity == pytest.approx(2.0)


def test_a_model_that_adds_nothing_is_free_flight(crystals: list[Trajectory]) -> None:
    card = Card(
        name="blind", model="trajcast", options={"channels": 8, "layers": 1, "refinements": 0}, species=[29], t_max=10.0, cutoff=4.0
    )
    model = build_model(card).eval()
    model.set_scales(torch.full((1,), 1e-9), torch.full((1,), 1e-9))
    batches = draw_windows(crystals, [4.0, 10.0], 4, 0)
    found = model_errors(model, batches, [4.0, 10.0])
    flight = extrapolation_errors(batches, [4.0, 10.0], accelerated=False)
    assert found[10.0].velocity == pytest.approx(flight[10.0].velocity, rel=1e-4)


def test_a_model_of_two_frames_knows_a_constant_acceleration_before_it_is_trained(crystals: list[Trajectory]) -> None:
    model = two_frames()
    assert model.network.past is not None
    model.network.past.belief.data = torch.ones(1, 2)
    for parameter in model.network.readouts.parameters():
        parameter.data.zero_()
    found = model_errors(model.double(), draw_windows([accelerated(run) for run in crystals], [4.0, 10.0], 4, 0), [4.0, 10.0])
    assert max(found[time].velocity for time in found) < 1e-4
    assert max(found[time].displacement for time in found) < 1e-4


def test_frames_too_far_apart_are_one_sentence(crystals: list[Trajectory]) -> None:
    with pytest.raises(ForcefreeError, match="a forecast of 3 fs cannot be judged by frames that are 2 fs apart"):
        draw_windows(crystals, [3.0], 4, 0)
    with pytest.raises(ForcefreeError, match="10 fs is no multiple of a step of 3 fs"):
        dynamics_errors([], [10.0], CalculatorConfig.model_validate(copper.CALCULATOR), 3.0)
