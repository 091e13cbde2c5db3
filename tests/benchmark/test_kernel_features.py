"""Kernel features against the full Gaussian process, and widths chosen by the evidence."""

from __future__ import annotations

import pytest
import torch

from forcefree.benchmark.kernel_features import KernelFeatures, Ridge, chosen_features, log_evidences


def inputs(count: int = 60, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 3, generator=generator, dtype=torch.float64) * torch.tensor([3.0, 1.0, 0.2]).double() + 1.0


def features(x: torch.Tensor, count: int, width: float = 2.0) -> KernelFeatures:
    return KernelFeatures.of(x, 3, 1e-6, count, width, torch.Generator().manual_seed(1))


def test_all_points_as_landmarks_give_the_exact_kernel() -> None:
    x = inputs()
    found = features(x, len(x))
    z = found.whitened(x)
    torch.testing.assert_close(z.T @ z / len(z), torch.eye(3, dtype=z.dtype), rtol=1e-6, atol=1e-6)
    exact = torch.exp(-torch.cdist(z, z).square() / 8.0)
    torch.testing.assert_close(found(x) @ found(x).T, exact, rtol=1e-6, atol=1e-6)


def test_the_evidence_is_that_of_the_full_process() -> None:
    """-log det(K + ridge)/2 - n log(y K^-1 y)/2, by dense algebra."""
    x = inputs()
    found = features(x, len(x))
    y = torch.stack([x[:, 0].sin(), x[:, 1].square()], dim=1)
    matrix = found(x) @ found(x).T / 0.01 + torch.eye(len(x), dtype=x.dtype)
    quadratic = (y * torch.linalg.solve(matrix, y)).sum(dim=0)
    expected = -0.5 * len(x) * quadratic.log().sum() - 0.5 * 2 * torch.logdet(matrix)
    torch.testing.assert_close(torch.tensor(log_evidences(found(x), y, [0.01])), expected[None].to(torch.float32), rtol=1e-4, atol=1e-4)


def test_ridge_is_least_at_its_weights_and_tells_what_is_left() -> None:
    generator = torch.Generator().manual_seed(2)
    x, y = torch.randn(40, 3, generator=generator, dtype=torch.float64), torch.randn(40, 2, generator=generator, dtype=torch.float64)

    def cost(weights: torch.Tensor) -> torch.Tensor:
        return ((y - x @ weights).square().sum(dim=0) + 0.7 * weights.square().sum(dim=0)) / len(x)

    fit = Ridge.fit(x, y, 0.7)
    torch.testing.assert_close(fit.variance, cost(fit.weights), rtol=1e-9, atol=0.0)
    for _ in range(5):
        other = fit.weights + 0.1 * torch.randn(3, 2, generator=generator, dtype=torch.float64)
        assert bool((cost(other) > cost(fit.weights)).all())
    exact = Ridge.fit(x, x @ fit.weights, 0.0)
    torch.testing.assert_close(exact.weights, fit.weights)
    assert bool((exact.variance > 0.0).all()), "a variance that later errors are divided by"


@pytest.mark.parametrize("width", [1.0, 4.0])
def test_functions_drawn_from_a_process_are_given_its_width(width: float) -> None:
    x, generator = inputs(200), torch.Generator().manual_seed(0)
    drawn = features(x, 200, width)(x)
    functions = drawn @ torch.randn(drawn.shape[1], 4, generator=generator, dtype=torch.float64)
    noisy = functions + 1e-3 * torch.randn(functions.shape, generator=generator, dtype=torch.float64)
    chosen, ridge = chosen_features(x, noisy, 3, 1e-6, 150, generator)
    assert chosen.width == width
    found = chosen(x) @ Ridge.fit(chosen(x), noisy, ridge).weights
    assert float((found - functions).square().mean().sqrt()) < 0.02
