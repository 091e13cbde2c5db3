"""Weights of tensor products as functions of a distance: a deep perceptron, or a table of it when only forecasting."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from forcefree.nn.perceptron import perceptron

_SILU_GAIN = 1.6765  # inverse root mean square of SiLU of a standard normal variable
_ROWS = 512


def normalised_perceptron(*widths: int) -> nn.Sequential:
    """Layers without bias whose outputs have unit variance at the start if the inputs do.

    Args:
        widths: Input width, hidden widths, output width; at least two numbers.
    """
    network = perceptron(*widths, bias=False)
    gain = 1.0
    for layer in network:
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=gain / math.sqrt(layer.in_features))
            gain = _SILU_GAIN
    return network


class RadialTable:
    """Several functions of the distance on one even grid, interpolated by cubic polynomials through four rows.

    Args:
        functions: Each maps a basis (n, n_functions) to values (n, width); widths may differ.
        basis: Maps distances (n,) in Å to that basis.
        cutoff: Largest distance, Å.
        like: A tensor of the precision and on the device that the tables shall have.
        rows: Points of the grid.
    """

    def __init__(
        self, functions: Sequence[nn.Module], basis: Callable[[Tensor], Tensor], cutoff: float, like: Tensor, rows: int = _ROWS
    ) -> None:
        self._per_length = (rows - 3) / cutoff
        self._last = rows - 3
        grid = torch.arange(rows, dtype=like.dtype, device=like.device) / self._per_length
        self.values: tuple[Tensor, ...] = tuple(function(basis(grid)) for function in functions)

    def taps(self, distances: Tensor) -> tuple[Tensor, Tensor]:
        """Rows and their weights for distances in Å of shape (n,), both of shape (n, 4)."""
        scaled = distances * self._per_length
        base = scaled.floor().clamp(1.0, self._last)
        x = scaled - base
        below, above, beyond = x + 1.0, x - 1.0, x - 2.0
        inner = torch.stack([-x * above * beyond, 3.0 * below * above * beyond, -3.0 * below * x * beyond, below * x * above], dim=1)
        return base.to(torch.int64)[:, None] + torch.arange(-1, 3, device=distances.device), inner / 6.0

    def look_up(self, function: int, taps: tuple[Tensor, Tensor]) -> Tensor:
        """Values (n, width) of one of the functions at the distances of ``taps``."""
        rows, weights = taps
        return nn.functional.embedding_bag(rows, self.values[function], per_sample_weights=weights, mode="sum")
