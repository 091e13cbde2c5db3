"""Equivariant multi-head attention over neighbours."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from forcefree.graph import sum_by_receiver
from forcefree.nn.attention_weights import gate_weights, neighbour_weights
from forcefree.nn.cartesian_update import CartesianUpdate
from forcefree.nn.features import Features, symmetric_traceless
from forcefree.nn.perceptron import perceptron
from forcefree.nn.velocity_message import EdgeFeatures


class NeighbourAttention(nn.Module):
    """One block: every atom attends to its neighbours, adds what they say to what it carries, and updates itself.

    Keys and values are made of the neighbour's features, its element among them, and of the pair; queries of the atom's
    own. A value has a scalar, a vector and a matrix part, built from the direction to the neighbour, its relative
    velocity and, but for the first block, its vectors and matrices. An atom without neighbours gets nothing.

    Args:
        channels: Scalars and vectors per atom.
        matrix_channels: Matrices per atom.
        n_features: Invariant features of a pair.
        hidden: Width of the filter network.
        heads: Divides ``channels`` and ``matrix_channels``.
        neighbours: Typical number of neighbours, by the square root of which sums are divided where they are not normalised.
        normalised: Weights of an atom's neighbours and its own sum to one; otherwise each neighbour is weighed for itself.
        first: Vectors and matrices are still zero, so that none are sent.
    """

    def __init__(
        self, channels: int, matrix_channels: int, n_features: int, hidden: int, heads: int, neighbours: float,
        *, normalised: bool = True, first: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self._heads, self._normalised, self._first = heads, normalised, first
        self._scale = (channels // heads) ** -0.5
        self._norm = 1.0 if normalised else neighbours**-0.5
        self._widths = [channels] * 4 + [matrix_channels] * 2 + ([] if first else [channels] * 2 + [matrix_channels] * 3)
        self.query = nn.Linear(channels, channels)
        self.key = nn.Linear(channels, channels, bias=False)
        self.own = nn.Linear(channels, heads)
        self.content = perceptron(channels, channels, channels + matrix_channels)
        self.filter = perceptron(n_features, hidden, sum(self._widths))
        if not first:
            self.few_vectors = nn.Linear(channels, matrix_channels, bias=False)
            self.turned = nn.Linear(matrix_channels, channels, bias=False)
        self.update = CartesianUpdate(channels, matrix_channels)

    def forward(self, scalars: Tensor, vectors: Tensor, matrices: Tensor, edges: EdgeFeatures) -> Features:
        """Attend once; see :class:`Features` for the shapes, which stay."""
        n_atoms, channels = scalars.shape
        matrix_channels = matrices.shape[-1]
        keyed, plain, radial, along, arm, sway, *heard = torch.split(self.filter(edges.invariants), self._widths, dim=-1)
        weights = self._weights(scalars, keyed, edges)
        content = self.content(scalars)[edges.sender]
        said = content[:, :channels] * self._spread(weights, channels)
        said_few = content[:, channels:] * self._spread(weights, matrix_channels)
        plain, radial, along, arm, sway = plain * said, radial * said, along * said, arm * said_few, sway * said_few
        lean = arm[:, None] * edges.directions + sway[:, None] * edges.velocities
        turned = told = grown = None
        if not self._first:
            ahead, passed, leaning, turning, kept = heard
            sent, sent_matrices = vectors[edges.sender], matrices[edges.sender]
            radial = radial + ahead * said * (edges.directions * sent).sum(dim=1)
            lean = lean + (leaning * said_few)[:, None] * self.few_vectors(vectors)[edges.sender]
            turned = (turning * said_few)[:, None] * (sent_matrices * edges.directions[:, None]).sum(dim=2)
            told = (passed * said)[:, None] * sent
            grown = (kept * said_few)[:, None, None] * sent_matrices
        arrived = radial[:, None] * edges.directions + along[:, None] * edges.velocities
        stretched = edges.directions[:, :, None] * lean[:, None]
        told = arrived if told is None else arrived + told
        grown = stretched if grown is None else stretched + grown
        gathered = sum_by_receiver(told, edges.receiver, n_atoms, edges.degree)
        if turned is not None:
            gathered = gathered + self.turned(sum_by_receiver(turned, edges.receiver, n_atoms, edges.degree))
        updated: Features = self.update(
            Features(
                scalars + sum_by_receiver(plain, edges.receiver, n_atoms, edges.degree),
                vectors + gathered,
                matrices + symmetric_traceless(sum_by_receiver(grown, edges.receiver, n_atoms, edges.degree)),
            )
        )
        return updated

    def _weights(self, scalars: Tensor, keyed: Tensor, edges: EdgeFeatures) -> Tensor:
        """How much each pair counts for each head, shape (n_pairs, heads)."""
        keys = self.key(scalars)[edges.sender] + keyed
        logits = (self.query(scalars)[edges.receiver] * keys).unflatten(-1, (self._heads, -1)).sum(dim=-1) * self._scale
        if self._normalised:
            return neighbour_weights(logits, self.own(scalars), edges.envelope, edges.receiver, edges.degree)
        return self._norm * gate_weights(logits, edges.envelope)

    def _spread(self, weights: Tensor, channels: int) -> Tensor:
        """Each head's weight for all of its channels, shape (n_pairs, channels)."""
        return weights[..., None].expand(-1, -1, channels // self._heads).flatten(1)
