"""Cardinal B-splines, by which particles and meshes speak to each other."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def spline_weights(offsets: Tensor, order: int) -> tuple[Tensor, Tensor]:
    """Weights of the mesh points below a particle, and their slopes.

    Args:
        offsets: Distance from the last point below, in units of the mesh, from 0 to 1, any shape.
        order: Number of points; weights are polynomials of one degree less.

    Returns:
        Weights of the point below, the one below that and so on, shape (..., order), and their derivatives by the offset.
    """
    steps = torch.arange(order, dtype=offsets.dtype, device=offsets.device)
    where = offsets[..., None] + steps  # argument of the spline at each point
    weights = torch.stack([offsets.new_ones(offsets.shape), *[offsets.new_zeros(offsets.shape)] * (order - 1)], dim=-1)
    slopes = torch.zeros_like(weights)
    for degree in range(2, order + 1):
        before = torch.nn.functional.pad(weights[..., :-1], (1, 0))  # the spline one to the left
        slopes = weights - before
        weights = (where * weights + (degree - where) * before) / (degree - 1)
    return weights, slopes


def euler_factors(counts: Tensor, size: int, order: int) -> Tensor:
    """Squares of what turns sums of splines into waves along one axis, shape of ``counts``.

    Args:
        counts: Whole numbers of periods in the cell, float64.
        size: Points of the mesh.
        order: Of the splines.
    """
    inside, _ = spline_weights(torch.zeros((), dtype=counts.dtype, device=counts.device), order)
    knots = inside[1:]  # the spline at 1, 2, ... order - 1
    phases = 2.0 * math.pi / size * counts[:, None] * torch.arange(order - 1, dtype=counts.dtype, device=counts.device)
    return 1.0 / ((knots * phases.cos()).sum(dim=-1).square() + (knots * phases.sin()).sum(dim=-1).square())
