"""Hankel layout of a delay embedding: row r, column c of the matrix is the value at time c + r.

The columns are the observed times, the rows the steps ahead. What lies beyond the last observed time repeats along anti-diagonals: those
are the unknown values that a spatiotemporal-information (STI) map forecasts several times over.
"""

from __future__ import annotations

import torch
from torch import Tensor


def hankel(series: Tensor, rows: int) -> Tensor:
    """Delay vectors of a series.

    Args:
        series: Values in time, shape (n_times, ...).
        rows: Length L of a delay vector, between 1 and ``n_times``.

    Returns:
        Delay vector of every time at which it is complete, shape (n_times - rows + 1, rows, ...).
    """
    columns = len(series) - rows + 1
    index = torch.arange(columns, device=series.device)[:, None] + torch.arange(rows, device=series.device)
    return series[index]


def known(columns: int, rows: int, device: torch.device | None = None) -> Tensor:
    """Which entries of the Hankel matrix of ``columns`` observed times are observed, shape (columns, rows)."""
    time = torch.arange(columns, device=device)[:, None] + torch.arange(rows, device=device)
    return time < columns


def unhankel(matrix: Tensor) -> Tensor:
    """The series whose delay vectors come closest: means along the anti-diagonals.

    Args:
        matrix: Delay vectors, shape (columns, rows, ...).

    Returns:
        Shape (columns + rows - 1, ...).
    """
    columns, rows = matrix.shape[:2]
    time = (torch.arange(columns, device=matrix.device)[:, None] + torch.arange(rows, device=matrix.device)).reshape(-1)
    total = matrix.new_zeros(columns + rows - 1, *matrix.shape[2:]).index_add(0, time, matrix.reshape(columns * rows, *matrix.shape[2:]))
    counts = torch.bincount(time).to(matrix.dtype)
    return total / counts.view(-1, *[1] * (matrix.ndim - 2))


def inconsistency(matrix: Tensor, first: int) -> Tensor:
    """Mean square deviation from the means along the anti-diagonals, from time ``first`` on, a scalar.

    Args:
        matrix: Delay vectors, shape (columns, rows, ...).
        first: First time (column + row) that counts.
    """
    columns, rows = matrix.shape[:2]
    time = torch.arange(columns, device=matrix.device)[:, None] + torch.arange(rows, device=matrix.device)
    deviation = matrix - unhankel(matrix)[time]
    return deviation[time >= first].square().mean()
