"""Products of Cartesian scalars, vectors and symmetric traceless matrices: the Cartesian Clebsch-Gordan coefficients up to l = 2.

A symmetric traceless matrix is stored as its five components along :func:`matrices`, an orthonormal basis, so that no
number is stored twice. Every product below has a counterpart among the real Clebsch-Gordan coefficients and equals it up to
sign and normalisation.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

LARGEST_ORDER = 2
"""Largest l."""

_PRODUCTS = {
    (0, 0, 0): "x,y,z->xyz",
    (0, 1, 1): "x,yi,zi->xyz",
    (0, 2, 2): "x,yij,zij->xyz",
    (1, 0, 1): "xi,y,zi->xyz",
    (1, 1, 0): "xi,yi,z->xyz",  # inner product
    (1, 1, 1): "xi,yj,zk,ijk->xyz",  # cross product
    (1, 1, 2): "xi,yj,zij->xyz",  # symmetric traceless outer product
    (1, 2, 1): "xi,yij,zj->xyz",  # matrix times vector
    (1, 2, 2): "xi,yjm,zkm,ijk->xyz",  # vector cross the columns of a matrix
    (2, 0, 2): "xij,y,zij->xyz",
    (2, 1, 1): "xij,yi,zj->xyz",
    (2, 1, 2): "xjm,yi,zkm,ijk->xyz",
    (2, 2, 0): "xij,yij,z->xyz",  # trace of the matrix product
    (2, 2, 1): "xim,ymj,zk,ijk->xyz",  # vector dual to the commutator
    (2, 2, 2): "xim,ymj,zij->xyz",  # symmetric traceless matrix product
}

ORDERS = tuple(_PRODUCTS)
"""Every triple (l1, l2, l3) with all three at most two that obeys the triangle rule."""


def matrices() -> Tensor:
    """Five symmetric traceless matrices, orthonormal in the Frobenius product, float64, shape (5, 3, 3)."""
    xy, yz, zx = torch.zeros(3, 3, 3, dtype=torch.float64)
    xy[0, 1] = xy[1, 0] = yz[1, 2] = yz[2, 1] = zx[2, 0] = zx[0, 2] = math.sqrt(0.5)
    axial = torch.diag(torch.tensor([-1.0, -1.0, 2.0], dtype=torch.float64)) / math.sqrt(6.0)
    planar = torch.diag(torch.tensor([1.0, -1.0, 0.0], dtype=torch.float64)) / math.sqrt(2.0)
    return torch.stack([xy, yz, axial, zx, planar])


def coupling(first: int, second: int, third: int) -> Tensor:
    r"""Coefficients :math:`C_{xyz}` of the bilinear product of order ``third`` of tensors of orders ``first`` and ``second``.

    Args:
        first: l of the left factor, 0 to 2.
        second: l of the right factor.
        third: l of the product.

    Returns:
        Shape (2 l1 + 1, 2 l2 + 1, 2 l3 + 1), float64, with sum of squares 2 l3 + 1, so that factors with components of
        unit variance have a product with components of unit variance.

    Raises:
        KeyError: If the three orders break the triangle rule or exceed two.
    """
    formula = _PRODUCTS[first, second, third]
    bases = (torch.ones(1, dtype=torch.float64), torch.eye(3, dtype=torch.float64), matrices())
    factors = [bases[first], bases[second], bases[third]]
    if formula.count(",") == 3:
        factors.append(_levi_civita())
    product = torch.einsum(formula, *factors)
    return product * (math.sqrt(2 * third + 1) / float(product.norm()))


def harmonics(vectors: Tensor) -> Tensor:
    r"""Solid harmonics up to l = 2 in Cartesian form: 1, :math:`\sqrt{3}\, v` and :math:`\sqrt{15/2}` times the traceless :math:`v v^T`.

    Args:
        vectors: Shape (..., 3).

    Returns:
        Shape (..., 9). On the unit sphere every component has mean square one.
    """
    outer = (vectors[..., :, None] * vectors[..., None, :]).flatten(-2)
    basis = matrices().to(vectors).flatten(1) * math.sqrt(7.5)
    return torch.cat([torch.ones_like(vectors[..., :1]), math.sqrt(3.0) * vectors, outer @ basis.T], dim=-1)


def _levi_civita() -> Tensor:
    symbol = torch.zeros(3, 3, 3, dtype=torch.float64)
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        symbol[i, j, k], symbol[j, i, k] = 1.0, -1.0
    return symbol
