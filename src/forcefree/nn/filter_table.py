"""Radial filters by interpolation: the same numbers as their network to single precision, at a fraction of the cost."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn


class FilterTable(nn.Module):
    r"""Functions of a distance, one for each kind of pair, by cubic Hermite interpolation.

    A filter that sees nothing but a distance and a pair of elements is a fixed curve once training has ended. Between two
    knots it is :math:`h_{00} f_k + h_{10} f'_k + h_{01} f_{k+1} + h_{11} f'_{k+1}`: four neighbouring rows of one table, weighted
    and summed by :func:`torch.nn.functional.embedding_bag`.

    Args:
        curve: Maps a kind and distances in Å of shape (n,) in float64 to values of shape (n, width).
        kinds: How many kinds of pairs there are.
        reach: Å; distances beyond it get the value at it.
        intervals: Between zero and ``reach``.
    """

    rows: Tensor

    def __init__(self, curve: Callable[[int, Tensor], Tensor], kinds: int, reach: float, intervals: int = 256) -> None:
        super().__init__()
        step = reach / intervals
        knots = step * torch.arange(intervals + 1, dtype=torch.float64)
        parts = []
        for kind in range(kinds):
            values, slopes = torch.func.jvp(partial(curve, kind), (knots,), (torch.ones_like(knots),))[:2]
            parts.append(torch.stack([values, slopes * step], dim=1).flatten(0, 1))
        self.register_buffer("rows", torch.cat(parts).detach().to(torch.get_default_dtype()), persistent=False)
        self._per_kind, self._intervals, self._per_length = 2 * (intervals + 1), intervals, intervals / reach

    def forward(self, kind: Tensor, lengths: Tensor) -> Tensor:
        """Look up.

        Args:
            kind: Kind of each pair, int64, shape (n_pairs,).
            lengths: Å, shape (..., n_pairs).

        Returns:
            Shape (..., n_pairs, width).
        """
        place = lengths.detach() * self._per_length
        left = place.clamp(0.0, self._intervals - 1.0).to(torch.int64)
        x = (lengths * self._per_length - left).clamp(max=1.0)
        square = x * x
        rise = square * (3.0 - 2.0 * x)
        weights = torch.stack([1.0 - rise, x * (1.0 - x) * (1.0 - x), rise, square * (x - 1.0)], dim=-1)
        first = 2 * left + self._per_kind * kind
        chosen = first[..., None] + torch.arange(4, device=first.device)
        bags = nn.functional.embedding_bag(
            chosen.view(-1, 4), self.rows, mode="sum", per_sample_weights=weights.reshape(-1, 4).to(self.rows.dtype)
        )
        return bags.view(*lengths.shape, self.rows.shape[-1])
