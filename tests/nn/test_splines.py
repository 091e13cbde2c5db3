"""Splines through which particles and meshes speak."""

import math

import pytest
import torch

from forcefree.nn.splines import euler_factors, spline_weights


@pytest.mark.parametrize("order", [4, 6, 8])
def test_weights_share_a_particle_out_and_slopes_are_their_derivatives(order: int) -> None:
    offsets = torch.linspace(0.0, 0.999, 50, dtype=torch.float64, requires_grad=True)
    weights, slopes = spline_weights(offsets, order)
    assert weights.shape == slopes.shape == (50, order)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(50, dtype=torch.float64))
    for place in range(order):
        (slope,) = torch.autograd.grad(weights[:, place].sum(), offsets, retain_graph=True)
        torch.testing.assert_close(slopes[:, place], slope)
    assert (weights >= 0.0).all()


def test_splines_move_from_point_to_point_without_a_jump() -> None:
    ends = torch.tensor([0.0, 1.0], dtype=torch.float64)
    (start, end), _ = spline_weights(ends, 6)
    torch.testing.assert_close(start[1:], end[:-1])
    assert float(start[0]) == float(end[-1]) == 0.0


def test_a_wave_is_the_sum_of_splines_times_its_factor() -> None:
    """Euler's splines (Essmann et al., J. Chem. Phys. 103, 8577): exact at the points of the mesh."""
    size, order, count = 24, 6, 3.0
    (factor,) = euler_factors(torch.tensor([count], dtype=torch.float64), size, order)
    knots = spline_weights(torch.zeros((), dtype=torch.float64), order)[0][1:]
    summed = sum(
        float(knot) * complex(math.cos(x), math.sin(x))
        for knot, x in zip(knots, 2.0 * math.pi * count / size * torch.arange(5.0), strict=True)
    )
    assert float(factor) == pytest.approx(1.0 / abs(summed) ** 2)
