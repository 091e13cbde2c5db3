"""Attention of an atom to its neighbours, with a bias that depends on distance, elements and relative motion."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from forcefree.graph import sum_by_receiver
from forcefree.nn.velocity_message import EdgeFeatures, NeighbourSum

_STRONGEST = 5.0


def bounded_exp(logits: Tensor) -> Tensor:
    """Exponential of logits squeezed smoothly into (-5, 5), so that no weight can overflow or silence the others."""
    return torch.exp(_STRONGEST * torch.tanh(logits / _STRONGEST))


class LocalAttention(NeighbourSum):
    r"""Messages of neighbours weighted by :math:`\alpha_{ij} = f_{ij} e^{l_{ij}} / (1 + \sum_k f_{ik} e^{l_{ik}})`.

    The envelope f makes every weight vanish smoothly at the cutoff, and the one in the denominator lets an atom that loses
    its last neighbour hear nothing.

    Args:
        channels: Scalars and vectors per atom, a multiple of ``heads``.
        n_features: Invariant features of a pair.
        hidden: Width of the filter network.
        heads: Attention heads.
    """

    def __init__(self, channels: int, n_features: int, hidden: int, heads: int) -> None:
        super().__init__(channels, n_features, hidden)
        self._heads = heads
        self.query = nn.Linear(channels, channels, bias=False)
        self.key = nn.Linear(channels, channels, bias=False)
        self.bias = nn.Linear(n_features, heads)

    def forward(self, scalars: Tensor, vectors: Tensor, edges: EdgeFeatures) -> tuple[Tensor, Tensor]:
        """What the neighbours say.

        Args:
            scalars: Shape (n_atoms, channels).
            vectors: Shape (n_atoms, 3, channels).
            edges: Features of the pairs.

        Returns:
            Sums of the shapes of scalars and vectors.
        """
        channels = scalars.shape[-1]
        products = (self.query(scalars)[edges.receiver] * self.key(scalars)[edges.sender]).unflatten(1, (self._heads, -1))
        logits = products.sum(dim=-1) * (channels / self._heads) ** -0.5 + self.bias(edges.invariants)
        weight = edges.envelope * bounded_exp(logits)
        total = 1.0 + sum_by_receiver(weight, edges.receiver, len(scalars), edges.degree)
        attention = (weight / total[edges.receiver]).repeat_interleave(channels // self._heads, dim=1)
        return self.gather(scalars, vectors, edges, attention)
