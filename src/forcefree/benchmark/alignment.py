"""Errors of predicted structures, as they lie and after the best rigid superposition."""

from __future__ import annotations

import torch
from torch import Tensor

from forcefree.nn.polar import best_rotation


def superposed(moving: Tensor, fixed: Tensor) -> Tensor:
    """Move structures onto others by the best proper rotation and translation, with a derivative that is safe for planar ones.

    Args:
        moving: Å, shape (..., n_atoms, 3).
        fixed: Å, of the same shape.

    Returns:
        The moved structures, in the same shape.
    """
    centre, target = moving.mean(dim=-2, keepdim=True), fixed.mean(dim=-2, keepdim=True)
    correlation = ((moving - centre).transpose(-1, -2) @ (fixed - target)).reshape(-1, 3, 3)
    rotation = best_rotation(correlation, torch.ones(len(correlation), dtype=correlation.dtype, device=correlation.device))
    moved: Tensor = (moving - centre) @ rotation.view(*moving.shape[:-2], 3, 3) + target
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
