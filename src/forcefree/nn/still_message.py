"""Message passing that sees positions alone."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from forcefree.graph import sum_by_receiver
from forcefree.nn.features import Features, symmetric_traceless
from forcefree.nn.tensor_radial import normalised_perceptron


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


class StillMessage(nn.Module):
    """Sums over neighbours of scalars, vectors and matrices, filtered by distance and elements; an atom alone gets nothing.

    Args:
        channels: Scalars and vectors per atom.
        matrix_channels: Matrices per atom.
        n_features: Invariant features of a pair.
        hidden: Width of the filter network.
        neighbours: Typical number of neighbours, by the square root of which sums are divided.
        first: Vectors and matrices are still zero, so that none are sent.
    """

    def __init__(
        self, channels: int, matrix_channels: int, n_features: int, hidden: int, neighbours: float, *, first: bool = False
    ) -> None:
        super().__init__()
        self._first, self._norm = first, neighbours**-0.5
        self._widths = [channels] * 2 + [matrix_channels] + ([] if first else [channels] * 2 + [matrix_channels])
        self.filter = normalised_perceptron(n_features, hidden, sum(self._widths))
        self.content = normalised_perceptron(channels, channels, channels + matrix_channels)

    def forward(self, features: Features, edges: StillEdges) -> Features:
        """Add what the neighbours say; shapes stay."""
        scalars, vectors, matrices = features
        n_atoms, channels = scalars.shape
        content = self.content(scalars)[edges.sender] * (edges.envelope * self._norm)
        said, said_few = content[:, :channels], content[:, channels:]
        plain, radial, stretch, *heard = torch.split(self.filter(edges.invariants), self._widths, dim=-1)
        told = plain * said
        pulled = (radial * said)[:, None] * edges.directions
        bent = ((stretch * said_few)[:, None] * edges.directions)[:, None] * edges.directions[:, :, None]
        if not self._first:
            ahead, passed, kept = heard
            sent = vectors[edges.sender]
            told = told + ahead * said * (edges.directions * sent).sum(dim=1)
            pulled = pulled + (passed * said)[:, None] * sent
            bent = bent + (kept * said_few)[:, None, None] * matrices[edges.sender]
        return Features(
            scalars + sum_by_receiver(told, edges.receiver, n_atoms, edges.degree),
            vectors + sum_by_receiver(pulled, edges.receiver, n_atoms, edges.degree),
            matrices + symmetric_traceless(sum_by_receiver(bent, edges.receiver, n_atoms, edges.degree)),
        )
