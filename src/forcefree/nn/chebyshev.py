r"""Functions of time that turn one set of coefficients into a whole segment of trajectory.

:math:`\varphi_k(t) = (t/t_{max})^2\, T_k(2 t/t_{max} - 1)`: value and slope vanish at t = 0, so the initial condition is exact.
"""

from __future__ import annotations

import torch
from torch import Tensor


def segment_basis(times: Tensor, count: int, t_max: float) -> tuple[Tensor, Tensor]:
    """The basis functions and their time derivatives.

    Args:
        times: fs, any shape.
        count: How many functions.
        t_max: Length of the segment in fs.

    Returns:
        Values (dimensionless) and derivatives (1/fs), each of shape (*times.shape, count).
    """
    y = times / t_max
    x = 2.0 * y - 1.0
    first, second = [torch.ones_like(x), x], [torch.ones_like(x), 2.0 * x]
    for _ in range(2, count):
        first.append(2.0 * x * first[-1] - first[-2])
        second.append(2.0 * x * second[-1] - second[-2])
    polynomials = torch.stack(first[:count], dim=-1)
    slopes = torch.stack([torch.zeros_like(x)] + [k * second[k - 1] for k in range(1, count)], dim=-1) * (2.0 / t_max)
    squared = y.square()[..., None]
    return squared * polynomials, squared * slopes + (2.0 * y / t_max)[..., None] * polynomials


def segment_nodes(count: int, t_max: float) -> Tensor:
    """Chebyshev-Lobatto times of (0, t_max], the last at ``t_max``, in fs, float64, shape (count,)."""
    angles = torch.pi * torch.arange(1, count + 1, dtype=torch.float64) / count
    return 0.5 * t_max * (1.0 - torch.cos(angles))
