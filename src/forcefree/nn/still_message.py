"""Message passing that sees positions alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from forcefree.graph import sum_by_receiver
from forcefree.nn.features import Features, symmetric_traceless
from forcefree.nn.pair_blocks import PairBlock, joined, pair_blocks
from forcefree.nn.still_edges import StillEdges
from forcefree.nn.tensor_radial import normalised_perceptron


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
        content = self.content(features.scalars) * self._norm
        told, pulled, bent = joined([self._hear(features, content, block) for block in pair_blocks(edges, len(content))])
        return Features(features.scalars + told, features.vectors + pulled, features.matrices + symmetric_traceless(bent))

    def _hear(self, features: Features, content: Tensor, block: PairBlock[StillEdges]) -> Features:
        """Sums over the neighbours of the atoms of a block; those of matrices are not symmetric yet."""
        edges, n_atoms, channels = block.edges, block.atoms.stop - block.atoms.start, features.scalars.shape[1]
        spoken = content[edges.sender] * edges.envelope
        said, said_few = spoken[:, :channels], spoken[:, channels:]
        plain, radial, stretch, *heard = torch.split(self.filter(edges.invariants), self._widths, dim=-1)
        told = plain * said
        pulled = (radial * said)[:, None] * edges.directions
        bent = ((stretch * said_few)[:, None] * edges.directions)[:, None] * edges.directions[:, :, None]
        if not self._first:
            ahead, passed, kept = heard
            sent = features.vectors[edges.sender]
            told = told + ahead * said * (edges.directions * sent).sum(dim=1)
            pulled = pulled + (passed * said)[:, None] * sent
            bent = bent + (kept * said_few)[:, None, None] * features.matrices[edges.sender]
        return Features(*(sum_by_receiver(part, edges.receiver, n_atoms, edges.degree) for part in (told, pulled, bent)))
