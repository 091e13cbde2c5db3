"""Baselines are exact where they should be, and metrics measure what was done."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms
from torch import Tensor

from forcefree.benchmark.baselines import RidgeForecast, ballistic, copy_last, hankel_dmd, quadratic
from forcefree.benchmark.forecast import Figure, Iterated, molecule_figures
from forcefree.benchmark.forecast_errors import ForecastErrors, aligned
from forcefree.benchmark.normal_modes import NormalModes, harmonic_motion, hessian
from forcefree.benchmark.windowed_arnn import ArnnForecast
from forcefree.reference.config import CalculatorConfig
from forcefree.state import State
from forcefree.training.windows import Windows, window_source
from forcefree.units import KINETIC_UNIT
from networks import MOLECULE, Network, molecular_dynamics, normal_modes
from oracles import phantom

FRAMES, STEPS = 12, 8


def motion(kind: str) -> Windows:
    """Two water-like systems that stand, fly, or fall; exact at all times."""
    start = State.from_atoms([Atoms("OHH", positions=[[0, 0, 0], [1, 0, 0], [0, 1, 0]])] * 2)
    generator = torch.Generator().manual_seed(0)
    v, a = (0.02 * torch.randn(start.n_atoms, 3, generator=generator, dtype=torch.float64) for _ in range(2))
    v, a = v * (kind != "still"), 0.1 * a * (kind == "falling")

    def at(time: float) -> State:
        moved = start.positions + v * time + 0.5 * a * time**2
        return start.with_(positions=moved, velocities=v + a * time, time=torch.full_like(start.time, time))

    history = tuple(at(float(k - FRAMES + 1)) for k in range(FRAMES))
    future = [at(float(k)) for k in range(1, STEPS + 1)]
    times = torch.arange(1.0, STEPS + 1, dtype=torch.float64)[:, None].expand(-1, 2)
    return Windows(history, times, torch.stack([s.positions for s in future]), torch.stack([s.velocities for s in future]))


@pytest.mark.parametrize(("predictor", "exact"), [(copy_last, 0), (ballistic, 1), (quadratic, 2)])
def test_each_extrapolation_is_exact_up_to_its_order(predictor, exact: int) -> None:
    for order, kind in enumerate(("still", "flying", "falling")):
        windows = motion(kind)
        error = float((predictor(windows) - windows.positions).abs().max())
        assert (error < 1e-12) == (order <= exact), kind


@pytest.fixture(scope="module")
def windows() -> Windows:
    timing = {"history_length": 16, "history_spacing": 1.0}
    return window_source(molecular_dynamics(8, 200, every=2, ensemble="nve"), 8.0, timing, time_reversal=False).draw(64, 0)


def test_ridge_learns_linear_motion_and_beats_extrapolation_elsewhere(windows: Windows) -> None:
    timing = {"history_length": 16, "history_spacing": 1.0}
    source = window_source(molecular_dynamics(8, 200, every=2, ensemble="nve", seed=5), 8.0, timing)
    ridge = RidgeForecast.fit(source.draw(400, 0))
    errors = {name: ForecastErrors.of(found(windows), windows.positions).rmse(8) for name, found in (("r", ridge), ("q", quadratic))}
    assert errors["r"] < 0.2 * errors["q"]
    falling = motion("falling")
    exact = RidgeForecast.fit(falling)
    assert float((exact(falling) - falling.positions).abs().max()) < 1e-4


def test_dmd_continues_what_is_linear() -> None:
    windows = motion("flying")
    assert float((hankel_dmd(windows) - windows.positions).abs().max()) < 1e-8
    still = hankel_dmd(motion("still"))
    assert float((still - motion("still").positions).abs().max()) < 1e-12


def test_arnn_forecasts_every_coordinate_and_then_flies_straight(windows: Windows) -> None:
    few = first(windows, 6)
    found = ArnnForecast(ahead=4)(few)
    assert found.shape == few.positions.shape
    assert ForecastErrors.of(found, few.positions).mae(1) < ForecastErrors.of(copy_last(few), few.positions).mae(1)
    torch.testing.assert_close(found[5] - found[4], few.history[-1].velocities, rtol=0.0, atol=1e-12)


def first(windows: Windows, count: int) -> Windows:
    """The first systems of a batch."""
    chosen = torch.arange(windows.history[-1].n_systems) < count
    atoms = windows.history[-1].system < count
    history = tuple(state.select(chosen) for state in windows.history)
    return Windows(history, windows.times[:, chosen], windows.positions[:, atoms], windows.velocities[:, atoms])


def test_normal_modes_are_those_of_the_springs() -> None:
    molecule = MOLECULE.copy()
    molecule.calc = Network()
    matrix = hessian(molecule)
    root = np.sqrt(np.repeat(KINETIC_UNIT * MOLECULE.get_masses(), 3))
    frequencies = np.sqrt(np.clip(np.linalg.eigvalsh(matrix / root[:, None] / root)[6:], 0, None))
    np.testing.assert_allclose(frequencies / (2 * np.pi) * 33356.40952, normal_modes(), rtol=3e-3)
    times = np.array([0.0, 5.0, 10.0])
    push = np.zeros((4, 3))
    push[:, 0] = 0.01
    flown = harmonic_motion(matrix, MOLECULE.get_masses(), np.zeros((4, 3)), push, times)
    np.testing.assert_allclose(flown[:, :, 0], 0.01 * np.repeat(times[:, None], 4, axis=1), atol=1e-4)


def test_normal_modes_beat_quadratic_extrapolation_of_a_vibrating_molecule(windows: Windows) -> None:
    part = first(windows, 6)
    harmonic = ForecastErrors.of(NormalModes(CalculatorConfig(name="networks:Network"))(part), part.positions)
    assert harmonic.rmse(8) < 0.5 * ForecastErrors.of(quadratic(part), part.positions).rmse(8)


def test_rigid_motion_is_taken_out_and_nothing_else() -> None:
    windows = motion("flying")
    state, truth = windows.history[-1], windows.positions
    rotation, _ = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64))
    rotation = rotation * torch.linalg.det(rotation)
    turned = torch.cat([truth[:, :3] @ rotation + 2.0, truth[:, 3:] @ rotation.T - 1.0], dim=1)
    torch.testing.assert_close(aligned(turned, truth, state), truth, rtol=0.0, atol=1e-10)
    mirrored = truth * torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64)
    stretched = 1.1 * truth
    assert float((aligned(stretched, truth, state) - truth).abs().max()) > 0.01
    assert aligned(mirrored, truth, state).shape == truth.shape


def test_errors_have_their_names() -> None:
    truth = torch.zeros(2, 1, 3, dtype=torch.float64)
    found: Tensor = truth + torch.tensor([[[3.0, 4.0, 0.0]], [[0.0, 0.0, 2.0]]], dtype=torch.float64)
    errors = ForecastErrors.of(found, truth)
    assert (errors.mae(1), errors.mae(2)) == (pytest.approx(7 / 3), pytest.approx(2 / 3))
    assert errors.rmse(1) == pytest.approx((25 / 3) ** 0.5)
    assert (errors.ade(2), errors.fde(2)) == (3.5, 2.0)


def test_an_exact_model_has_no_error_however_often_it_is_iterated() -> None:
    model = phantom()
    start = State.from_atoms([Atoms([6, 6, 8, 1, 1, 1, 1, 1, 1], positions=np.random.default_rng(0).normal(size=(9, 3)))])
    times = torch.arange(1.0, 33.0, dtype=torch.float64)
    states = [start]
    for _ in range(32):
        states.append(model.propagate(states[-1], 1.0))
    whole = [torch.stack([getattr(s, noun) for s in states[1:]]) for noun in ("positions", "velocities")]
    windows = Windows((start,), times[:, None], *whole)
    figures = list(molecule_figures({"exact": [Iterated(model), Iterated(model, segment=5)]}, [windows], "springs"))
    assert len(figures) == 2 * 4 * 4
    assert all(figure.value < 1e-10 and figure.seeds == 2 for figure in figures)
    short = Windows((start,), times[:3, None], *(part[:3] for part in whole))
    assert model.card.t_max > 3.0
    torch.testing.assert_close(Iterated(model)(short), short.positions, rtol=0.0, atol=1e-10)
    assert Figure.of("x", [1.0, 3.0], "Å").error == pytest.approx(1.0)
