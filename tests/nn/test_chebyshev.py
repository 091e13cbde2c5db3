"""Functions of time: exact initial condition, exact derivative, enough of them to draw an oscillation."""

from __future__ import annotations

import numpy as np
import torch

from forcefree.nn.chebyshev import segment_basis, segment_nodes


def test_values_and_slopes_vanish_at_the_start() -> None:
    values, slopes = segment_basis(torch.zeros(1, dtype=torch.float64), 10, 10.0)
    assert values.abs().max() == 0.0
    assert slopes.abs().max() == 0.0


def test_values_are_chebyshev_polynomials_times_the_square_of_time() -> None:
    times = torch.linspace(0.0, 12.0, 31, dtype=torch.float64)
    values, _ = segment_basis(times, 7, 12.0)
    for k in range(7):
        expected = (times.numpy() / 12.0) ** 2 * np.polynomial.Chebyshev.basis(k)(2.0 * times.numpy() / 12.0 - 1.0)
        np.testing.assert_allclose(values[:, k].numpy(), expected, atol=1e-13)


def test_slopes_are_the_derivative_by_autograd() -> None:
    times = torch.linspace(0.1, 10.0, 13, dtype=torch.float64, requires_grad=True)
    values, slopes = segment_basis(times, 10, 10.0)
    for k in range(10):
        (gradient,) = torch.autograd.grad(values[:, k].sum(), times, retain_graph=True)
        torch.testing.assert_close(gradient, slopes[:, k], rtol=1e-10, atol=1e-12)


def test_ten_functions_draw_one_period_of_an_oscillator() -> None:
    """An X-H stretch of 10 fs and amplitude 0.1 Å, to 1e-5 Å as measured on true trajectories."""
    times = torch.linspace(0.0, 10.0, 101, dtype=torch.float64)
    omega = 2.0 * np.pi / 10.0
    departure = 0.1 * (torch.cos(omega * times) - 1.0) + 0.05 * (torch.sin(omega * times) - omega * times)
    values, slopes = segment_basis(times, 10, 10.0)
    coefficients = torch.linalg.lstsq(values, departure).solution
    assert (values @ coefficients - departure).abs().max() < 2e-5
    velocity = -0.1 * omega * torch.sin(omega * times) + 0.05 * omega * (torch.cos(omega * times) - 1.0)
    assert (slopes @ coefficients - velocity).abs().max() < 1e-4


def test_nodes_lie_inside_the_segment_and_end_it() -> None:
    nodes = segment_nodes(5, 10.0)
    assert float(nodes[0]) > 0.0
    assert float(nodes[-1]) == 10.0
    assert bool((nodes.diff() > 0).all())
