"""Equivariant multi-head attention over neighbours."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from forcefree.graph import sum_by_receiver
from forcefree.nn.attention_weights import gate_weights, neighbour_weights
from forcefree.nn.cartesian_update import CartesianUpdate
from forcefree.nn.features import Features, symmetric_traceless
from forcefree.nn.pair_blocks import PairBlock, joined, pair_blocks
from forcefree.nn.perceptron import perceptron
from forcefree.nn.velocity_message import EdgeFeatures


class _Said(NamedTuple):
    """What atoms look for and offer, made once for all blocks of pairs."""

    queries: Tensor
    keys: Tensor
    own: Tensor
    content: Tensor
    vectors: Tensor
    few_vectors: Tensor | None
    matrices: Tensor


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
        said = _Said(
            queries=self.query(scalars),
            keys=self.key(scalars),
            own=self.own(scalars),
            content=self.content(scalars),
            vectors=vectors,
            few_vectors=None if self._first else self.few_vectors(vectors),
            matrices=matrices,
        )
        parts = []
        for block in pair_blocks(edges, len(scalars)):
            told, pulled, bent = self._hear(said, block)
            some = Features(scalars[block.atoms] + told, vectors[block.atoms] + pulled, matrices[block.atoms] + symmetric_traceless(bent))
            parts.append(self.update(some))
        return Features(*joined(parts))

    def _hear(self, said: _Said, block: PairBlock[EdgeFeatures]) -> Features:
        """Sums over the neighbours of the atoms of a block; those of matrices are not symmetric yet."""
        edges, n_atoms = block.edges, block.atoms.stop - block.atoms.start
        channels, matrix_channels = said.vectors.shape[-1], said.matrices.shape[-1]
        keyed, plain, radial, along, arm, sway, *heard = torch.split(self.filter(edges.invariants), self._widths, dim=-1)
        weights = self._weights(said, keyed, block)
        content = said.content[edges.sender]
        spoken = content[:, :channels] * self._spread(weights, channels)
        few = content[:, channels:] * self._spread(weights, matrix_channels)
        plain, radial, along, arm, sway = plain * spoken, radial * spoken, along * spoken, arm * few, sway * few
        lean = arm[:, None] * edges.directions + sway[:, None] * edges.velocities
        turned = told = grown = None
        if said.few_vectors is not None:
            ahead, passed, leaning, turning, kept = heard
            sent, sent_matrices = said.vectors[edges.sender], said.matrices[edges.sender]
            radial = radial + ahead * spoken * (edges.directions * sent).sum(dim=1)
            lean = lean + (leaning * few)[:, None] * said.few_vectors[edges.sender]
            turned = (turning * few)[:, None] * (sent_matrices * edges.directions[:, None]).sum(dim=2)
            told = (passed * spoken)[:, None] * sent
            grown = (kept * few)[:, None, None] * sent_matrices
        arrived = radial[:, None] * edges.directions + along[:, None] * edges.velocities
        stretched = edges.directions[:, :, None] * lean[:, None]
        told = arrived if told is None else arrived + told
        grown = stretched if grown is None else stretched + grown
        gathered = sum_by_receiver(told, edges.receiver, n_atoms, edges.degree)
        if turned is not None:
            gathered = gathered + self.turned(sum_by_receiver(turned, edges.receiver, n_atoms, edges.degree))
        return Features(
            sum_by_receiver(plain, edges.receiver, n_atoms, edges.degree),
            gathered,
            sum_by_receiver(grown, edges.receiver, n_atoms, edges.degree),
        )

    def _weights(self, said: _Said, keyed: Tensor, block: PairBlock[EdgeFeatures]) -> Tensor:
        """How much each pair counts for each head, shape (n_pairs, heads)."""
        edges = block.edges
        keys = said.keys[edges.sender] + keyed
        products: Tensor = said.queries[block.atoms][edges.receiver] * keys
        logits = products.view(len(products), self._heads, products.shape[1] // self._heads).sum(dim=-1) * self._scale
        if self._normalised:
            return neighbour_weights(logits, said.own[block.atoms], edges.envelope, edges.receiver, edges.degree)
        return self._norm * gate_weights(logits, edges.envelope)

    def _spread(self, weights: Tensor, channels: int) -> Tensor:
        """Each head's weight for all of its channels, shape (n_pairs, channels)."""
        return weights[..., None].expand(-1, -1, channels // self._heads).flatten(1)
