"""Cartesian products against e3nn's Clebsch-Gordan coefficients, and what they mean for vectors and matrices."""

from __future__ import annotations

import math

import pytest
import torch
from e3nn import o3
from torch import Tensor

from forcefree.nn.tensor_coupling import ORDERS, coupling, harmonics, matrices
from tensors import to_spherical


@pytest.mark.parametrize("order", [0, 1, 2])
def test_components_are_those_of_the_spherical_harmonics_up_to_an_orthogonal_matrix(order: int) -> None:
    change = to_spherical(order)
    torch.testing.assert_close(change @ change.T, torch.eye(2 * order + 1, dtype=torch.float64), rtol=0.0, atol=1e-12)


@pytest.mark.parametrize("orders", ORDERS)
def test_every_clebsch_gordan_path_has_its_cartesian_counterpart(orders: tuple[int, int, int]) -> None:
    first, second, third = (to_spherical(order) for order in orders)
    cartesian = torch.einsum("xyz,ax,by,cz->abc", coupling(*orders), first, second, third)

    spherical = o3.wigner_3j(*orders, dtype=torch.float64) * math.sqrt(2 * orders[2] + 1)

    sign = torch.sign((cartesian * spherical).sum())
    torch.testing.assert_close(cartesian, sign * spherical, rtol=0.0, atol=1e-10)


def test_no_triple_up_to_two_is_missing() -> None:
    expected = {(a, b, c) for a in range(3) for b in range(3) for c in range(abs(a - b), min(a + b, 2) + 1)}
    assert set(ORDERS) == expected
    assert len(ORDERS) == 15


def test_the_stored_matrices_are_an_orthonormal_basis_of_symmetric_traceless_ones() -> None:
    basis = matrices()
    torch.testing.assert_close(torch.einsum("aij,bij->ab", basis, basis), torch.eye(5, dtype=torch.float64), rtol=0.0, atol=1e-15)
    torch.testing.assert_close(basis, basis.transpose(1, 2))
    assert basis.diagonal(dim1=1, dim2=2).sum(dim=1).abs().max() < 1e-15


def test_products_are_the_ones_that_their_names_say() -> None:
    generator = torch.Generator().manual_seed(3)
    u, v = torch.randn(2, 3, generator=generator, dtype=torch.float64)
    a, b = torch.randn(2, 5, generator=generator, dtype=torch.float64)
    basis = matrices()
    A, B = torch.einsum("xij,nx->nij", basis, torch.stack([a, b]))

    def product(x: Tensor, y: Tensor, *orders: int) -> Tensor:
        value = torch.einsum("xyz,x,y->z", coupling(*orders), x, y)
        return value / value.norm()

    def components(matrix: Tensor) -> Tensor:
        return torch.einsum("xij,ij->x", basis, matrix)

    commutator = A @ B - B @ A
    dual = torch.stack([commutator[1, 2], commutator[2, 0], commutator[0, 1]])
    for found, expected in (
        (product(u, v, 1, 1, 0), (u @ v)[None]),
        (product(u, v, 1, 1, 1), torch.linalg.cross(u, v)),
        (product(u, v, 1, 1, 2), components(torch.outer(u, v))),
        (product(u, a, 1, 2, 1), A @ u),
        (product(a, u, 2, 1, 1), A @ u),
        (product(a, b, 2, 2, 0), (A * B).sum()[None]),
        (product(a, b, 2, 2, 1), dual),
        (product(a, b, 2, 2, 2), components(A @ B)),
        (product(u, a, 1, 2, 2), components(torch.linalg.cross(u[:, None].expand(3, 3), A, dim=0))),
    ):
        torch.testing.assert_close(found.abs(), (expected / expected.norm()).abs(), rtol=0.0, atol=1e-12)
        assert abs(float(found @ expected) / float(expected.norm())) == pytest.approx(1.0, abs=1e-12)


def test_factors_of_unit_variance_have_a_product_of_unit_variance() -> None:
    generator = torch.Generator().manual_seed(5)
    for orders in ORDERS:
        x, y = (torch.randn(20000, 2 * order + 1, generator=generator, dtype=torch.float64) for order in orders[:2])
        assert torch.einsum("xyz,nx,ny->nz", coupling(*orders), x, y).square().mean() == pytest.approx(1.0, rel=0.05)


def test_harmonics_are_homogeneous_and_smooth_at_the_origin() -> None:
    vector = torch.tensor([0.3, -0.5, 0.2], dtype=torch.float64)
    powers = torch.tensor([0.0] + [1.0] * 3 + [2.0] * 5, dtype=torch.float64)
    torch.testing.assert_close(harmonics(2.0 * vector), 2.0**powers * harmonics(vector), rtol=1e-14, atol=1e-15)
    slope = torch.autograd.functional.jacobian(harmonics, torch.zeros(3, dtype=torch.float64))
    assert slope.isfinite().all()
    assert slope[4:].abs().max() == 0.0


def test_orders_that_cannot_form_a_triangle_are_refused() -> None:
    with pytest.raises(KeyError):
        coupling(0, 1, 2)
