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
from forcefree.benchmark.normal_modes import NormalModes, harmonic_motion, hessian, superposition
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


def test_dmd_continues_a_vibration_that_is_not_there_to_be_extrapolated() -> None:
    """One mode in both phases and a constant are three singular vectors; a straight line or a parabola knows nothing of it."""
    windows = motion("still")
    generator = torch.Generator().manual_seed(3)
    shapes = 0.1 * torch.randn(2, *windows.positions[0].shape, generator=generator, dtype=torch.float64)

    def at(time: Tensor) -> tuple[Tensor, Tensor]:
        angle = 0.6 * time
        moved = shapes[0] * angle.cos() + shapes[1] * angle.sin()
        return windows.positions[0] + moved, 0.6 * (shapes[1] * angle.cos() - shapes[0] * angle.sin())

    history = tuple(state.with_(**dict(zip(("positions", "velocities"), at(state.time[0]), strict=True))) for state in windows.history)
    future = [torch.stack(part) for part in zip(*(at(time) for time in windows.times[:, 0]), strict=True)]
    swinging = Windows(history, windows.times, *future)
    assert float((hankel_dmd(swinging) - swinging.positions).abs().max()) < 1e-8
    assert float((hankel_dmd(swinging, rank=1) - swinging.positions).abs().max()) > 1e-3
    assert float((quadratic(swinging) - swinging.positions).abs().max()) > 0.1


def test_ridge_of_atoms_that_never_moved_is_free_flight() -> None:
    still, flying = motion("still"), motion("flying")
    ridge = RidgeForecast.fit(still)
    assert torch.equal(ridge(still), still.positions)
    torch.testing.assert_close(ridge(flying), flying.positions, rtol=0.0, atol=1e-10)


def test_ridge_lets_elements_that_it_was_not_fitted_to_fly_on() -> None:
    falling = motion("falling")
    oxygen = RidgeForecast.fit(falling)
    found = RidgeForecast({8: oxygen.weights[8]}, oxygen.spacing)(falling)
    heavy = falling.history[-1].numbers == 8
    torch.testing.assert_close(found[:, heavy], oxygen(falling)[:, heavy])
    assert torch.equal(found[:, ~heavy], ballistic(falling)[:, ~heavy])


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


def test_a_diatomic_swings_with_its_reduced_mass_and_drifts_with_its_centre() -> None:
    stiffness, masses = 30.0, np.array([1.0, 12.0])
    matrix = np.zeros((6, 6))
    matrix[np.ix_([2, 5], [2, 5])] = stiffness * np.array([[1.0, -1.0], [-1.0, 1.0]])
    times = np.linspace(0.0, 40.0, 9)
    drift = np.array([1e-3, -2e-3, 3e-3])
    pulled = np.array([[0.0, 0.0, 0.12], [0.0, 0.0, -0.01]])
    moved = harmonic_motion(matrix, masses, pulled, np.stack([drift, drift]), times)
    reduced = KINETIC_UNIT * masses.prod() / masses.sum()
    expected = times[:, None, None] * drift + np.cos(np.sqrt(stiffness / reduced) * times)[:, None, None] * pulled
    np.testing.assert_allclose(moved, expected, atol=1e-6)


def test_superposition_finds_a_rotation_again_and_never_a_reflection() -> None:
    rng = np.random.default_rng(0)
    shape = rng.normal(size=(5, 3))
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    turn *= np.linalg.det(turn)
    np.testing.assert_allclose(superposition(shape, shape @ turn), turn, atol=1e-12)
    assert np.linalg.det(superposition(shape, shape @ -turn)) == pytest.approx(1.0)


def test_normal_modes_do_not_depend_on_how_the_molecule_lies() -> None:
    state = State.from_atoms([MOLECULE])
    speed = 0.01 * torch.randn(4, 3, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    turn, _ = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(6), dtype=torch.float64))
    turn = turn * torch.linalg.det(turn)
    times = torch.tensor([[2.0], [8.0]], dtype=torch.float64)
    found = []
    for way in (torch.eye(3, dtype=torch.float64), turn):
        start = state.with_(positions=state.positions @ way, velocities=speed @ way)
        nothing = torch.zeros(2, 4, 3, dtype=torch.float64)
        found.append(NormalModes(CalculatorConfig(name="networks:Network"))(Windows((start,), times, nothing, nothing)))
    torch.testing.assert_close(found[1], found[0] @ turn, rtol=0.0, atol=1e-3)


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


def test_one_atom_and_atoms_on_a_line_are_laid_on_the_truth() -> None:
    state = State.from_atoms([Atoms("O"), Atoms("CO", positions=[[0, 0, 0], [0, 0, 1.1]])])
    truth = torch.tensor([[[1.0, 2.0, 3.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.1]]], dtype=torch.float64)
    found = torch.tensor([[[9.0, 9.0, 9.0], [5.0, 0.0, 0.0], [6.1, 0.0, 0.0]]], dtype=torch.float64)
    torch.testing.assert_close(aligned(found, truth, state), truth, rtol=0.0, atol=1e-12)


def test_steps_that_the_windows_do_not_have_make_no_row() -> None:
    windows = motion("flying")
    figures = list(molecule_figures({"copy": [copy_last], "flight": [ballistic] * 3}, [windows, windows], "x", steps=(4, 8, 16)))
    assert {figure.name.split(", ")[2] for figure in figures} == {"4 steps", "8 steps"}
    found = {figure.name: figure for figure in figures}
    assert found["x, flight, 8 steps, raw: FDE"].seeds == 6
    assert found["x, flight, 8 steps, raw: FDE"].value == pytest.approx(0.0, abs=1e-12)
    speed = float(windows.history[-1].velocities.norm(dim=1).mean())
    assert found["x, copy, 8 steps, raw: FDE"].value == pytest.approx(8.0 * speed)
    assert found["x, copy, 8 steps, raw: ADE"].value == pytest.approx(4.5 * speed)
    assert found["x, copy, 8 steps, raw: MAE"].error == pytest.approx(0.0, abs=1e-15), "both groups are the same"


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
