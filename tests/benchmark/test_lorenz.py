"""Coupled Lorenz systems and the two forecasters of them."""

from __future__ import annotations

import numpy as np
import pytest

from forcefree.benchmark import arnn, sti_core
from forcefree.benchmark.arnn import ArnnOptions
from forcefree.benchmark.forecast import lorenz_figures, normalised_rmse
from forcefree.benchmark.lorenz import COUPLING, RHO, coupled_lorenz
from forcefree.benchmark.sti_core import StiOptions


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
        found = sti_core.forecast(series[:50], target[:50], 0, StiOptions(ahead=8, channels=32, steps=150))
    assert normalised_rmse(found, target, 50) < 0.25
    assert normalised_rmse(np.repeat(target[49], 8), target, 50) > 0.4


def test_the_core_is_repeatable_and_causal() -> None:
    import torch

    series = waves()
    options = StiOptions(ahead=4, channels=16, steps=5)
    first, second = (sti_core.forecast(series[:50], series[:50, 0], 3, options) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    core = sti_core.StiCore(12, 5, 16).eval()
    states = torch.randn(20, 12)
    plain = core(states)
    states[12:] += 1.0
    torch.testing.assert_close(core(states)[:12], plain[:12])
    assert float((core(states)[12:] - plain[12:]).detach().abs().max()) > 1e-3


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
