"""Errors of predicted structures, as they lie and after the best rigid superposition."""

from __future__ import annotations

import torch
from torch import Tensor


def superposed(moving: Tensor, fixed: Tensor) -> Tensor:
    """Move structures onto others by the best proper rotation and translation (Kabsch, Acta Cryst. A32, 922, 1976).

    Args:
        moving: Å, shape (..., n_atoms, 3).
        fixed: Å, of the same shape.

    Returns:
        The moved structures, in the same shape.
    """
    centre, target = moving.mean(dim=-2, keepdim=True), fixed.mean(dim=-2, keepdim=True)
    left, _, right = torch.linalg.svd((moving - centre).transpose(-1, -2) @ (fixed - target))
    handed = torch.linalg.det(left @ right).sign()
    left = torch.cat([left[..., :2], left[..., 2:] * handed[..., None, None]], dim=-1)
    moved: Tensor = (moving - centre) @ (left @ right) + target
    return moved


def squared_errors(predicted: Tensor, true: Tensor, atoms: int) -> tuple[Tensor, Tensor]:
    """Mean squared error per coordinate at each time, raw and after superposition of each frame.

    Args:
        predicted: Å, shape (n_times, n_systems * n_atoms, 3).
        true: Å, of the same shape.
        atoms: Atoms per system.

    Returns:
        Å^2, each of shape (n_times, n_systems).
    """
    predicted, true = (each.view(len(each), -1, atoms, 3) for each in (predicted, true))
    aligned = superposed(predicted, true)
    return (predicted - true).square().mean(dim=(2, 3)), (aligned - true).square().mean(dim=(2, 3))
