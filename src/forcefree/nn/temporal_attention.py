"""Attention of an atom along time, over its own past only."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from forcefree.nn.attention_heads import AttentionHeads


class TemporalAttention(AttentionHeads):
    """Scalars decide where to look; scalars and vectors are what is seen. A token sees itself and earlier ones only.

    Args:
        channels: Scalars and vectors per token, a multiple of ``heads``.
        heads: Attention heads.
        longest: Steps back in time that have a bias of their own.
    """

    def __init__(self, channels: int, heads: int, longest: int) -> None:
        super().__init__(channels, heads)
        self.lag_bias = nn.Parameter(torch.zeros(longest, heads))

    def remember(self, scalars: Tensor, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """What tokens show to those that look at them, to be kept for as long as they can be seen.

        Args:
            scalars: Shape (n_seen, n_atoms, channels).
            vectors: Shape (n_seen, n_atoms, 3, channels).

        Returns:
            Keys (n_seen, n_atoms, heads, channels / heads) and values (n_seen, n_atoms, 4, heads, channels / heads).
        """
        return self.keys(scalars), self.values(scalars, vectors)

    def forward(self, scalars: Tensor, memory: tuple[Tensor, Tensor], times: Tensor, seen_times: Tensor) -> tuple[Tensor, Tensor]:
        """What each token takes from the tokens of its atom that are not later.

        Args:
            scalars: Of the tokens that look, shape (n_tokens, n_atoms, channels).
            memory: What those that can be seen show.
            times: Step of each token that looks, shape (n_tokens,).
            seen_times: Step of each that can be seen, the first not later than any that looks, shape (n_seen,).

        Returns:
            Shapes (n_tokens, n_atoms, channels) and (n_tokens, n_atoms, 3, channels).
        """
        keys, values = memory
        lag = times[:, None] - seen_times
        logits = (self.queries(scalars)[:, None] * keys).sum(dim=-1)
        logits = logits + self.lag_bias[lag.clamp(0, len(self.lag_bias) - 1)][:, :, None]
        attention = logits.masked_fill((lag < 0)[:, :, None, None], -torch.inf).softmax(dim=1)
        seen = [(weight[:, :, None, :, None] * values).sum(dim=0) for weight in attention]
        heard = torch.stack(seen).flatten(-2)
        return heard[:, :, 0], heard[:, :, 1:]
