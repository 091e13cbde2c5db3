"""Attention of an atom along time, over its own past only."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class TemporalAttention(nn.Module):
    """Scalars decide where to look; scalars and vectors are what is seen. A token sees itself and earlier ones only.

    Args:
        channels: Scalars and vectors per token, a multiple of ``heads``.
        heads: Attention heads.
        longest: Steps back in time that have a bias of their own.
    """

    def __init__(self, channels: int, heads: int, longest: int) -> None:
        super().__init__()
        self._heads = heads
        self.query = nn.Linear(channels, channels, bias=False)
        self.key = nn.Linear(channels, channels, bias=False)
        self.scalar_value = nn.Linear(channels, channels, bias=False)
        self.vector_value = nn.Linear(channels, channels, bias=False)
        self.lag_bias = nn.Parameter(torch.zeros(longest, heads))

    def forward(
        self, scalars: Tensor, seen_scalars: Tensor, seen_vectors: Tensor, times: Tensor, seen_times: Tensor
    ) -> tuple[Tensor, Tensor]:
        """What each token takes from the tokens of its atom that are not later.

        Args:
            scalars: Of the tokens that look, shape (n_tokens, n_atoms, channels).
            seen_scalars: Of those that can be seen, shape (n_seen, n_atoms, channels).
            seen_vectors: Shape (n_seen, n_atoms, 3, channels).
            times: Step of each token that looks, shape (n_tokens,).
            seen_times: Step of each that can be seen, none later than all that look, shape (n_seen,).

        Returns:
            Shapes (n_tokens, n_atoms, channels) and (n_tokens, n_atoms, 3, channels).
        """
        heads = (self._heads, -1)
        query = self.query(scalars).unflatten(-1, heads)
        key, value = (layer(seen_scalars).unflatten(-1, heads) for layer in (self.key, self.scalar_value))
        arrows = self.vector_value(seen_vectors).unflatten(-1, heads)
        lag = times[:, None] - seen_times
        logits = torch.einsum("tahc,uahc->tuah", query, key) * query.shape[-1] ** -0.5
        logits = logits + self.lag_bias[lag.clamp(0, len(self.lag_bias) - 1)][:, :, None]
        attention = logits.masked_fill((lag < 0)[:, :, None, None], -torch.inf).softmax(dim=1)
        heard = torch.einsum("tuah,uahc->tahc", attention, value).flatten(-2)
        return heard, torch.einsum("tuah,uaxhc->taxhc", attention, arrows).flatten(-2)
