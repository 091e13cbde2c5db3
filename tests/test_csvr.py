"""The rescaling factor of stochastic velocity rescaling."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from forcefree.csvr import rescaling_factor


def _chain(freedom: int, decay: float, steps: int, walkers: int, seed: int = 0) -> Tensor:
    """Kinetic energies (over their mean) of walkers that do nothing but rescale, after ``steps`` steps."""
    rng = np.random.default_rng(seed)
    ratio = torch.ones(walkers, dtype=torch.float64)
    number = torch.full((walkers,), float(freedom), dtype=torch.float64)
    for _ in range(steps):
        normal = torch.tensor(rng.standard_normal(walkers))
        chi_square = torch.tensor(rng.chisquare(freedom - 1, walkers) if freedom > 1 else np.zeros(walkers))
        ratio = ratio * rescaling_factor(ratio, number, decay, normal, chi_square).square()
    return ratio


@pytest.mark.parametrize("freedom", [1, 3, 21])
@pytest.mark.parametrize("decay", [0.0, 0.5, 0.9])
def test_kinetic_energies_become_canonical(freedom: int, decay: float) -> None:
    steps = 1 if decay == 0.0 else math.ceil(math.log(1e-3) / math.log(decay))

    ratio = _chain(freedom, decay, steps, walkers=4000)

    assert stats.kstest((ratio * freedom).numpy(), stats.chi2(freedom).cdf).pvalue > 1e-4


def test_the_mean_relaxes_exponentially() -> None:
    walkers, freedom, decay = 20000, 21, 0.8
    rng = np.random.default_rng(1)
    ratio = torch.full((walkers,), 3.0, dtype=torch.float64)
    number = torch.full((walkers,), float(freedom), dtype=torch.float64)
    for step in range(1, 6):
        normal, chi_square = torch.tensor(rng.standard_normal(walkers)), torch.tensor(rng.chisquare(freedom - 1, walkers))
        ratio = ratio * rescaling_factor(ratio, number, decay, normal, chi_square).square()
        assert float(ratio.mean()) == pytest.approx(1.0 + 2.0 * decay**step, rel=0.02)


def test_without_time_nothing_changes() -> None:
    ratio = torch.tensor([0.3, 1.0, 7.0], dtype=torch.float64)
    number = torch.full((3,), 21.0, dtype=torch.float64)

    factor = rescaling_factor(
        ratio, number, 1.0, torch.tensor([-5.0, 0.0, 2.0], dtype=torch.float64), 20.0 * torch.ones(3, dtype=torch.float64)
    )

    torch.testing.assert_close(factor, torch.ones(3, dtype=torch.float64))


def test_the_factor_is_equation_a7_written_for_one_number() -> None:
    ratio, freedom, decay, normal, chi_square = 1.7, 12.0, 0.6, -0.4, 9.3

    factor = rescaling_factor(*(torch.tensor([v], dtype=torch.float64) for v in (ratio, freedom)), decay,
                              *(torch.tensor([v], dtype=torch.float64) for v in (normal, chi_square)))  # fmt: skip

    share = (1.0 - decay) / (freedom * ratio)
    expected = decay + share * (normal**2 + chi_square) + 2.0 * normal * math.sqrt(decay * share)
    assert float(factor) ** 2 == pytest.approx(expected, rel=1e-14)
    assert float(factor) > 0.0


def test_strong_noise_on_one_degree_of_freedom_reverses_it() -> None:
    factor = rescaling_factor(
        torch.tensor([1.0], dtype=torch.float64), torch.tensor([1.0], dtype=torch.float64), 0.1,
        torch.tensor([-3.0], dtype=torch.float64), torch.tensor([0.0], dtype=torch.float64),
    )  # fmt: skip

    assert float(factor) < 0.0


def test_a_system_close_to_absolute_zero_is_heated_at_the_rate_of_theory() -> None:
    walkers, freedom, decay = 20000, 6, 0.7
    rng = np.random.default_rng(2)
    ratio = torch.full((walkers,), 1e-12, dtype=torch.float64)
    number = torch.full((walkers,), float(freedom), dtype=torch.float64)
    normal, chi_square = torch.tensor(rng.standard_normal(walkers)), torch.tensor(rng.chisquare(freedom - 1, walkers))

    heated = ratio * rescaling_factor(ratio, number, decay, normal, chi_square).square()

    assert float(heated.mean()) == pytest.approx(1.0 - decay, rel=0.02)
    assert stats.kstest((heated / (1.0 - decay) * freedom).numpy(), stats.chi2(freedom).cdf).pvalue > 1e-4
