"""The rotation that lays one structure on another, with a derivative where that of a singular value decomposition has none."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

_SMALLEST = 1e-9  # of the largest singular value, below which a rotation is not determined


def best_rotation(correlation: Tensor, handedness: Tensor) -> Tensor:
    r"""Orthogonal matrices :math:`R` of given determinant that maximise :math:`\mathrm{tr}(R^T H)` (Kabsch, Acta Cryst. A32, 922, 1976).

    With :math:`H = \sum_i a_i b_i^T` they are the best superposition of the rows :math:`a_i R` on :math:`b_i`. Only sums of singular
    values stand in the denominators of the derivative, so that equal ones, as those of a regular polygon, do no harm.

    Args:
        correlation: :math:`H`, shape (n, 3, 3), of rank two at least.
        handedness: Determinants, 1 for a rotation and -1 for one with a reflection, shape (n,).

    Returns:
        Shape (n, 3, 3).
    """
    rotation: Tensor = _Polar.apply(correlation, handedness)  # type: ignore[no-untyped-call]
    return rotation


class _Polar(torch.autograd.Function):
    """The polar factor; from :math:`H = R P` with a symmetric :math:`P` follows :math:`R^T dH - dH^T R = W P + P W, W = R^T dR`."""

    @staticmethod
    def forward(context: Any, correlation: Tensor, handedness: Tensor) -> Tensor:
        left, values, right = torch.linalg.svd(correlation)
        sign = handedness.to(values) * torch.linalg.det(left @ right).sign()
        signs = torch.stack([torch.ones_like(sign), torch.ones_like(sign), sign], dim=-1)
        rotation: Tensor = (left * signs[:, None]) @ right
        context.save_for_backward(rotation, values * signs, right)
        return rotation

    @staticmethod
    def backward(context: Any, *gradients: Any) -> tuple[Tensor, None]:
        rotation, stretches, right = context.saved_tensors
        both = stretches[:, :, None] + stretches[:, None]
        least = _SMALLEST * stretches[:, :1, None].clamp_min(1e-300)
        inverse = torch.where(both.abs() > least, 1.0 / both, 0.0)
        turned = right @ (rotation.transpose(1, 2) @ gradients[0]) @ right.transpose(1, 2)
        spin = right.transpose(1, 2) @ (turned * inverse) @ right
        return rotation @ (spin - spin.transpose(1, 2)), None
