"""Coupled Lorenz systems and the two forecasters of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from forcefree.benchmark import arnn, sti_core
from forcefree.benchmark.arnn import ArnnOptions
from forcefree.benchmark.forecast import lorenz_figures, normalised_rmse
from forcefree.benchmark.lorenz import COUPLING, RHO, coupled_lorenz
from forcefree.benchmark.sti_core import StiOptions, Tokens


def test_the_trajectory_solves_its_equations() -> None:
    """Central differences of a fine trajectory against the right-hand side."""
    series = coupled_lorenz(9, 0, systems=3, spacing=1e-3).reshape(9, 3, 3)
    slope = (series[5] - series[3]) / 2e-3
    x, y, z = series[4].T
    expected = np.stack([10.0 * (y - x) + COUPLING * np.roll(x, 1), RHO * x - y - x * z, x * y - 8.0 / 3.0 * z], axis=1)
    np.testing.assert_allclose(slope, expected, rtol=1e-4, atol=0.05)


def test_it_is_on_the_attractor_and_depends_on_the_seed() -> None:
    one, other = coupled_lorenz(100, 1, systems=4), coupled_lorenz(100, 2, systems=4)
    assert one.shape == (100, 12)
    assert 5.0 < one[:, 2::3].mean() < 40.0
    assert np.abs(one).max() < 80.0
    assert np.abs(one - other).max() > 1.0


def test_errors_are_in_units_of_the_spread_of_the_target() -> None:
    target = np.tile([1.0, -1.0], 10)
    assert normalised_rmse(target[16:] + 0.3, target, 16) == pytest.approx(0.3)
    assert normalised_rmse(5.0 * target[16:] + 1.5, 5.0 * target, 16) == pytest.approx(0.3)


def test_a_target_that_stands_still_is_forecast_to_stand_still() -> None:
    series = waves()
    still = np.full(50, 3.7)
    np.testing.assert_allclose(arnn.forecast(series[:50], still, np.random.default_rng(0), ArnnOptions(ahead=4)), 3.7, rtol=1e-9)


def test_a_forecast_has_the_unit_and_the_origin_of_its_target() -> None:
    series = waves()
    for method in (
        lambda states, target: arnn.forecast(states, target, np.random.default_rng(0), ArnnOptions(ahead=4, iterations=4)),
        lambda states, target: sti_core.forecast(states, target, 0, StiOptions(ahead=4, landmarks=40, consistent=False, shared=False)),
    ):
        plain, other = method(series[:50], series[:50, 4]), method(series[:50], 40.0 * series[:50, 4] - 7.0)
        np.testing.assert_allclose(other, 40.0 * plain - 7.0, rtol=1e-6, atol=1e-5)


def waves(frames: int = 58) -> np.ndarray:
    """Many phases of two incommensurate waves, a system that is linear in twelve variables."""
    time, phases = np.arange(frames)[:, None], np.linspace(0.0, 3.0, 12)
    return np.sin(0.31 * time + phases) + 0.5 * np.cos(0.17 * time + 2.0 * phases)


@pytest.mark.parametrize("method", ["arnn", "sti"])
def test_waves_are_continued(method: str) -> None:
    series = waves()
    target = series[:, 4]
    if method == "arnn":
        found = arnn.forecast(series[:50], target[:50], np.random.default_rng(0), ArnnOptions(ahead=8))
    else:
        found = sti_core.forecast(series[:50], target[:50], 0, StiOptions(ahead=8, landmarks=100))
    assert normalised_rmse(found, target, 50) < (0.25 if method == "arnn" else 0.02)
    assert normalised_rmse(np.repeat(target[49], 8), target, 50) > 0.4


def test_a_turn_of_the_lorenz_systems_is_forecast_only_if_variables_share_their_map() -> None:
    series = coupled_lorenz(58, 3, systems=12)
    few = StiOptions(ahead=8, landmarks=200, conjugate_weight=0.0)
    shared, own = (
        normalised_rmse(sti_core.forecast(series[:50], series[:50, 9], 0, options), series[:, 9], 50)
        for options in (few, replace(few, shared=False))
    )
    assert shared < 0.3
    assert own > 2.0 * shared


def tokens() -> tuple[Tokens, torch.Tensor]:
    series = torch.from_numpy(waves(24))
    return Tokens.of(series[:20], series[:20, 4], StiOptions(ahead=4, delays=3)), torch.cat([series[20:, 4:5], series[20:]], dim=1)


def test_the_hankel_matrix_of_the_truth_holds_every_later_value() -> None:
    known, future = tokens()
    matrix, whole = known.ahead(future), torch.cat([known.series, future])
    assert known.inputs.shape == (18, 13, 3)
    assert matrix.shape == (18, 13, 4)
    torch.testing.assert_close(matrix[17, :, 3] + known.series[19], whole[23])
    torch.testing.assert_close(matrix[15, :, 1] + known.series[17], whole[19])
    torch.testing.assert_close(known.inputs[15], whole[15:18].T)
    unknown = (known.ahead(future) != known.ahead(future + 1.0)).any(dim=1)
    assert int(unknown.sum()) == 4 * 5 // 2, "an unknown triangle of L (L - 1) / 2"


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_the_future_is_the_minimum_of_its_objective(weight: float) -> None:
    """What was found is found again from another start, and the truth of linear waves is close to it."""
    series = waves()
    options = StiOptions(ahead=6, landmarks=60, conjugate_weight=weight, iterations=60)
    found = sti_core.forecast(series[:50], series[:50, 2], 0, options)
    again = sti_core.forecast(series[:50], series[:50, 2], 0, replace(options, iterations=90))
    np.testing.assert_allclose(found, again, atol=0.02)
    np.testing.assert_allclose(found, series[50:56, 2], atol=0.1)


def test_features_are_one_function_of_the_state() -> None:
    """The same state at two times has the same features; weights drawn anew at each time would not."""
    states = np.random.default_rng(0).normal(size=(10, 6))
    states[7] = states[2]
    features = arnn.random_features(states, np.random.default_rng(1))
    np.testing.assert_array_equal(features[7], features[2])


@pytest.mark.slow
def test_figures_of_the_table() -> None:
    figures = {figure.name.split(", ")[-1]: figure for figure in lorenz_figures(range(2), spacing=0.01)}
    assert figures["STI core: normalised RMSE"].seeds == 2
    assert figures["STI core: normalised RMSE"].at_most == 0.5
    assert figures["ARNN: normalised RMSE"].at_most is None
