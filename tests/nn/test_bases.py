"""Radial bases against their formulas, and the envelope's smoothness at the cutoff."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from forcefree.nn.bases import BesselBasis, GaussianBasis, envelope

CUTOFF = 4.0


def derivatives(distance: float, count: int, power: int = 6) -> list[float]:
    """The envelope and its first derivatives by automatic differentiation."""
    r = torch.tensor(distance, dtype=torch.float64, requires_grad=True)
    value: Tensor = envelope(r, CUTOFF, power)
    values = [float(value.detach())]
    for _ in range(count):
        (value,) = torch.autograd.grad(value, r, create_graph=True)
        values.append(float(value.detach()))
    return values


@pytest.mark.parametrize("power", [4, 6, 9])
def test_the_envelope_vanishes_with_two_derivatives_at_the_cutoff(power: int) -> None:
    assert derivatives(CUTOFF * (1.0 - 1e-9), 2, power) == pytest.approx([0.0, 0.0, 0.0], abs=1e-6)
    third = derivatives(CUTOFF * (1.0 - 1e-9), 3, power)[3]
    assert third == pytest.approx(-power * (power + 1) * (power + 2) / CUTOFF**3, rel=1e-6)


def test_the_envelope_is_one_with_many_flat_derivatives_at_zero() -> None:
    assert derivatives(0.0, 5) == pytest.approx([1.0, 0.0, 0.0, 0.0, 0.0, 0.0], abs=1e-15)


def test_the_envelope_falls_monotonically_and_stays_zero_beyond() -> None:
    values = envelope(torch.linspace(0.0, 1.5 * CUTOFF, 601, dtype=torch.float64), CUTOFF)
    assert (values[1:] - values[:-1]).max() <= 1e-15
    assert values[401:].abs().max() == 0.0
    assert envelope(torch.tensor([CUTOFF, 2 * CUTOFF]), CUTOFF).abs().max() == 0.0


def test_bessel_functions_start_as_the_analytic_ones() -> None:
    r = torch.linspace(0.3, CUTOFF, 200, dtype=torch.float64)
    found = BesselBasis(8, CUTOFF).double()(r)
    for n in range(1, 9):
        expected = math.sqrt(2.0 / CUTOFF) * torch.sin(n * math.pi * r / CUTOFF) / r
        torch.testing.assert_close(found[:, n - 1], expected, rtol=5e-5, atol=1e-5)


def test_bessel_functions_are_orthonormal_on_the_sphere() -> None:
    r = torch.linspace(0.0, CUTOFF, 20001, dtype=torch.float64)
    with torch.no_grad():
        basis = BesselBasis(6, CUTOFF).double()(r)
    overlap = torch.trapezoid(basis[:, :, None] * basis[:, None, :] * r[:, None, None].square(), r, dim=0)
    torch.testing.assert_close(overlap, torch.eye(6, dtype=torch.float64), rtol=0.0, atol=1e-3)


def test_frequencies_of_bessel_functions_can_be_trained() -> None:
    basis = BesselBasis(4, CUTOFF)
    basis(torch.linspace(0.5, 3.5, 9)).square().sum().backward()
    assert basis.frequencies.grad is not None
    assert basis.frequencies.grad.abs().min() > 0.0


def test_gaussians_peak_at_their_centres_and_overlap_with_their_neighbours() -> None:
    basis = GaussianBasis(5, 1.0, 3.0)
    values = basis(torch.linspace(1.0, 3.0, 5))
    torch.testing.assert_close(values.diagonal(), torch.ones(5))
    torch.testing.assert_close(values.diagonal(1), torch.full((4,), math.exp(-0.5)))
    assert basis(torch.zeros(2, 3)).shape == (2, 3, 5)
