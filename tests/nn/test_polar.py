"""The best rotation against known rotations, and its derivative against differences where singular values meet."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from forcefree.nn.polar import best_rotation

HAND = torch.tensor([1.0], dtype=torch.float64)


def random(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("hand", [1.0, -1.0])
def test_an_orthogonal_matrix_is_found_again(hand: float) -> None:
    matrix, _ = torch.linalg.qr(random(3, 3, seed=1))
    matrix = matrix * torch.linalg.det(matrix) * hand
    shape = random(6, 3, seed=2)
    found = best_rotation((shape.T @ (shape @ matrix))[None], hand * HAND)[0]
    torch.testing.assert_close(found, matrix, rtol=0.0, atol=1e-12)


def test_no_other_rotation_lies_nearer() -> None:
    shape, other = random(5, 3, seed=3), random(5, 3, seed=4)
    best = best_rotation((shape.T @ other)[None], HAND)[0]
    torch.testing.assert_close(torch.linalg.det(best), HAND[0], rtol=0.0, atol=1e-12)
    error = (shape @ best - other).square().sum()
    for seed in range(5, 25):
        rate = 0.2 * random(3, 3, seed=seed)
        assert (shape @ best @ torch.linalg.matrix_exp(rate - rate.T) - other).square().sum() > error


def ring(sides: int) -> Tensor:
    """A regular polygon in a plane: two equal singular values, and the third is zero."""
    angle = 2.0 * torch.pi * torch.arange(sides, dtype=torch.float64) / sides
    return torch.stack([angle.cos(), angle.sin(), 0.0 * angle], dim=1)


@pytest.mark.parametrize("hand", [1.0, -1.0])
@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_the_derivative_holds_where_that_of_the_decomposition_does_not(hand: float, noise: float) -> None:
    shape, weights, direction = ring(6), random(3, 3, seed=7), random(6, 3, seed=8)
    positions = (shape + noise * random(6, 3, seed=9)).requires_grad_()

    def value(x: Tensor) -> Tensor:
        return (best_rotation((shape.T @ x)[None], hand * HAND)[0] * weights).sum()

    value(positions).backward()
    assert positions.grad is not None
    with torch.no_grad():
        difference = (value(positions + 1e-6 * direction) - value(positions - 1e-6 * direction)) / 2e-6
    torch.testing.assert_close((positions.grad * direction).sum(), difference, rtol=1e-6, atol=1e-8)
