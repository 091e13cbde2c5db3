"""Directed pairs of atoms as networks see them."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class PairList(NamedTuple):
    """Directed pairs sorted by receiver.

    Attributes:
        separations: Vectors from receiver to sender, Å, shape (n_pairs, 3).
        receiver: Shape (n_pairs,), non-decreasing.
        sender: Shape (n_pairs,).
        degree: Pairs per receiver where all have the same, otherwise 0.
    """

    separations: Tensor
    receiver: Tensor
    sender: Tensor
    degree: int
