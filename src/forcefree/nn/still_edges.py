"""What a network of positions alone knows of the pairs of atoms."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class StillEdges:
    """What a block knows of the pairs of atoms, without their motion.

    Attributes:
        receiver: Shape (n_pairs,), sorted.
        sender: Shape (n_pairs,).
        degree: Pairs per receiver where all have the same, otherwise 0.
        invariants: Functions of the distance and features of the two elements, shape (n_pairs, n_features).
        envelope: Smooth cutoff, shape (n_pairs, 1).
        directions: Unit vectors from receiver to sender, shape (n_pairs, 3, 1).
    """

    receiver: Tensor
    sender: Tensor
    degree: int
    invariants: Tensor
    envelope: Tensor
    directions: Tensor
