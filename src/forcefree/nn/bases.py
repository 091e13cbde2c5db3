"""Radial bases and the envelope that makes every message vanish smoothly at the cutoff."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def envelope(distances: Tensor, cutoff: float, power: int = 6) -> Tensor:
    r"""Polynomial that is 1 at zero and vanishes with two derivatives at the cutoff.

    :math:`1 - \frac{(p+1)(p+2)}{2} x^p + p(p+2) x^{p+1} - \frac{p(p+1)}{2} x^{p+2}` with :math:`x = r / r_c`, as in
    Gasteiger, Groß and Günnemann, ICLR 2020, equation 8.

    Args:
        distances: Å, any shape.
        cutoff: :math:`r_c` in Å.
        power: :math:`p`.

    Returns:
        Dimensionless factor between 0 and 1, of the shape of ``distances``.
    """
    x = (distances / cutoff).clamp(max=1.0)
    p = float(power)
    raised = x**power
    return 1.0 - raised * (0.5 * (p + 1.0) * (p + 2.0) - p * (p + 2.0) * x + 0.5 * p * (p + 1.0) * x * x)


class GaussianBasis(nn.Module):
    """Equally spaced Gaussians of a distance.

    Args:
        count: How many.
        start: Centre of the first, Å.
        stop: Centre of the last, Å.
    """

    centres: Tensor

    def __init__(self, count: int, start: float, stop: float) -> None:
        super().__init__()
        self.register_buffer("centres", torch.linspace(start, stop, count), persistent=False)
        self._sharpness = 0.5 * ((count - 1) / (stop - start)) ** 2

    def forward(self, distances: Tensor) -> Tensor:
        """Values of shape (..., count) for distances in Å of shape (...)."""
        return torch.exp(-self._sharpness * (distances[..., None] - self.centres).square())


class BesselBasis(nn.Module):
    r"""Trainable Bessel functions :math:`\sqrt{2/r_c}\, \sin(\omega_n r / r_c) / r`, with :math:`\omega_n` starting at :math:`n \pi`.

    Args:
        count: How many.
        cutoff: :math:`r_c` in Å.
    """

    def __init__(self, count: int, cutoff: float) -> None:
        super().__init__()
        self.frequencies = nn.Parameter(math.pi * torch.arange(1, count + 1))
        self._cutoff = cutoff

    def forward(self, distances: Tensor) -> Tensor:
        """Values of shape (..., count) for distances in Å of shape (...)."""
        scaled = distances[..., None] / self._cutoff
        return math.sqrt(2.0 / self._cutoff) * torch.sin(self.frequencies * scaled) / (distances[..., None] + 1e-5)
