"""What attention over scalars and vectors has in common: who looks, who is looked at, and what is seen."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class AttentionHeads(nn.Module):
    """Queries, keys and values of several heads; weights come from scalars, values are scalars and vectors.

    Args:
        channels: Scalars and vectors per token, a multiple of ``heads``.
        heads: How many.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self._heads = heads
        self.query = nn.Linear(channels, channels, bias=False)
        self.key = nn.Linear(channels, channels, bias=False)
        self.scalar_value = nn.Linear(channels, channels, bias=False)
        self.vector_value = nn.Linear(channels, channels, bias=False)

    def queries(self, scalars: Tensor) -> Tensor:
        """Shape (..., heads, channels / heads) for scalars (..., channels), scaled for products with keys."""
        query = self.split(self.query(scalars))
        scaled: Tensor = query / math.sqrt(query.shape[-1])
        return scaled

    def keys(self, scalars: Tensor) -> Tensor:
        """Shape (..., heads, channels / heads) for scalars (..., channels)."""
        return self.split(self.key(scalars))

    def values(self, scalars: Tensor, vectors: Tensor) -> Tensor:
        """The scalar and the three components of the vector of each channel, shape (..., 4, heads, channels / heads)."""
        return self.split(torch.cat([self.scalar_value(scalars)[..., None, :], self.vector_value(vectors)], dim=-2))

    def split(self, tensor: Tensor) -> Tensor:
        """The last dimension split into heads."""
        return tensor.reshape(*tensor.shape[:-1], self._heads, -1)
