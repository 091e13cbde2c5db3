"""How a network sees the time: sines and cosines of periods from fast to slow."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from forcefree.nn.tensor_constants import ConstantsModule

_PERIODS = 8


class TimeFeatures(ConstantsModule):
    """Sines and cosines of eight periods in geometric progression.

    Args:
        shortest: Shortest period in fs.
        longest: Longest period in fs.
    """

    frequencies: Tensor
    count = 2 * _PERIODS

    def __init__(self, shortest: float, longest: float) -> None:
        super().__init__()
        periods = torch.logspace(math.log10(longest), math.log10(shortest), _PERIODS, dtype=torch.float64)
        self.keep("frequencies", 2.0 * math.pi / periods)

    def forward(self, times: Tensor) -> Tensor:
        """Features (..., 16) of times in fs of shape (...)."""
        angles = times[..., None] * self.frequencies
        return torch.cat([torch.sin(angles), torch.cos(angles)], dim=-1)
