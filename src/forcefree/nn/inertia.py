"""Inverse of inertia tensors in closed form, without a branch, so that it can be compiled."""

from __future__ import annotations

import torch
from torch import Tensor

_LINEAR = 1e-7


def inverse_inertia(inertia: Tensor) -> Tensor:
    r"""Inverse of symmetric inertia tensors; of a linear molecule, the pseudo-inverse without its axis.

    Adjugate over determinant. An inertia tensor is that of a linear molecule where its determinant is below
    :math:`10^{-7}\, \mathrm{tr}^3`: then :math:`I = I_0 (1 - n n^T)` with :math:`I_0 = \mathrm{tr}/2`, and the pseudo-inverse is
    :math:`I / I_0^2`. That of a single atom is zero. A tensor that is not finite gives NaN and harms no other.

    Args:
        inertia: amu Å^2, shape (..., 3, 3).

    Returns:
        1 / (amu Å^2), of the same shape.
    """
    trace = inertia.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None]
    scaled = inertia / trace.clamp_min(1e-12)
    first, second, third = scaled.unbind(dim=-2)
    adjugate = torch.stack([_cross(second, third), _cross(third, first), _cross(first, second)], dim=-1)
    determinant = (first * adjugate[..., 0]).sum(-1)[..., None, None]
    linear = determinant <= _LINEAR
    inverse: Tensor = torch.where(linear, 4.0 * scaled, adjugate / torch.where(linear, 1.0, determinant))
    return inverse / trace.clamp_min(1e-12)


def _cross(one: Tensor, other: Tensor) -> Tensor:
    """Cross product of (..., 3) written out, which compiles to one kernel."""
    a, b, c = one.unbind(dim=-1)
    x, y, z = other.unbind(dim=-1)
    return torch.stack([b * z - c * y, c * x - a * z, a * y - b * x], dim=-1)
