"""Refinement of a provisional trajectory: the network sees where its own forecast would put the atoms inside the segment."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from forcefree.graph import at_atoms
from forcefree.nn.bases import envelope
from forcefree.nn.pair_blocks import PairBlock, joined, pair_blocks
from forcefree.nn.update import GatedUpdate
from forcefree.nn.velocity_message import EdgeFeatures


class Look(NamedTuple):
    """Where the forecast so far would put the pairs at some times.

    Attributes:
        filters: What :meth:`TrajectoryRefinement.filters` says at each time, shape (n_nodes, n_pairs, hidden).
        separations: Provisional vectors from receiver to sender, Å, shape (n_nodes, n_pairs, 3).
        distances: Their lengths, shape (n_nodes, n_pairs, 1).
    """

    filters: Tensor
    separations: Tensor
    distances: Tensor


class TrajectoryRefinement(nn.Module):
    """Messages from the provisional geometry at several times of the segment, with one filter for all times.

    Physics does not know when it is looked at, so the radial filter is shared over the times; what each time contributes
    to the forecast is learned.

    Args:
        channels: Scalars and vectors per atom.
        n_radial: Radial functions.
        n_pair: Features of a pair of elements.
        hidden: Width of the filter.
        n_nodes: Times inside the segment.
        cutoff: Å.
        neighbours: Typical number of neighbours.
    """

    def __init__(self, channels: int, n_radial: int, n_pair: int, hidden: int, n_nodes: int, cutoff: float, neighbours: float) -> None:
        super().__init__()
        self.radial_filter = nn.Linear(n_radial, hidden)
        self.pair_filter = nn.Linear(n_pair, hidden, bias=False)
        self.filter = nn.Linear(hidden, hidden)
        self.receiver_context = nn.Linear(channels, hidden)
        self.sender_context = nn.Linear(channels, hidden, bias=False)
        self.context = nn.Linear(hidden, hidden)
        self.vectors_from_times = nn.Linear(n_nodes * hidden, channels, bias=False)
        self.scalars_from_times = nn.Linear(n_nodes * hidden, channels)
        self.update = GatedUpdate(channels)
        self._cutoff, self._norm = cutoff, neighbours**-0.5

    def filters(self, radial: Tensor, pair: Tensor) -> Tensor:
        """The radial filter.

        Args:
            radial: Radial basis, shape (..., n_pairs, n_radial).
            pair: Features of the pair of elements, shape (n_pairs, n_pair) or (n_pair,).

        Returns:
            Shape (..., n_pairs, hidden).
        """
        return self.filter(torch.nn.functional.silu(self.radial_filter(radial) + self.pair_filter(pair)))  # type: ignore[no-any-return]

    def forward(
        self, scalars: Tensor, vectors: Tensor, edges: EdgeFeatures, look: Callable[[PairBlock[EdgeFeatures]], Look]
    ) -> tuple[Tensor, Tensor]:
        """Refine once.

        Args:
            scalars: Shape (n_atoms, channels).
            vectors: Shape (n_atoms, 3, channels).
            edges: The pairs.
            look: What the forecast so far says of a block of the pairs.

        Returns:
            Scalars and vectors of the same shapes.
        """
        heard, said = self.receiver_context(scalars), self.sender_context(scalars)
        parts = []
        for block in pair_blocks(edges, len(scalars)):
            sums = self._sums(heard[block.atoms], said, block.edges, look(block))
            parts.append(self._updated(scalars[block.atoms], vectors[block.atoms], sums))
        scalars, vectors = joined(parts)
        return scalars, vectors

    def _updated(self, scalars: Tensor, vectors: Tensor, sums: Tensor) -> tuple[Tensor, Tensor]:
        """Scalars and vectors of some atoms after what their neighbours say at all times."""
        summed = sums[:, :, 0].transpose(0, 1).flatten(1)
        gathered = sums[:, :, 1:].permute(1, 2, 0, 3).flatten(2)
        updated: tuple[Tensor, Tensor] = self.update(scalars + self.scalars_from_times(summed), vectors + self.vectors_from_times(gathered))
        return updated

    def _sums(self, heard: Tensor, said: Tensor, edges: EdgeFeatures, seen: Look) -> Tensor:
        """Sums over the neighbours of the atoms of a block at each time, shape (n_nodes, n_atoms, 4, hidden)."""
        context = self.context(torch.nn.functional.silu(at_atoms(heard, edges.receiver) + at_atoms(said, edges.sender)))
        weights = seen.filters * context
        fade = edges.envelope * envelope(seen.distances, self._cutoff) * self._norm
        factors = torch.cat([fade, fade * (seen.separations / seen.distances)], dim=-1)
        return sum_products(factors, weights, edges.receiver, len(heard), edges.degree)


def sum_products(factors: Tensor, weights: Tensor, receiver: Tensor, n_atoms: int, degree: int) -> Tensor:
    """Outer products of factors and weights, summed over the pairs of each receiver.

    Args:
        factors: Shape (n_nodes, n_pairs, n_factors).
        weights: Shape (n_nodes, n_pairs, hidden).
        receiver: Shape (n_pairs,), sorted.
        n_atoms: Number of receivers.
        degree: Pairs per receiver where all have the same, otherwise 0.

    Returns:
        Shape (n_nodes, n_atoms, n_factors, hidden).
    """
    nodes, _, hidden = weights.shape
    if degree:
        left = factors.reshape(nodes * n_atoms, degree, -1).transpose(1, 2)
        return torch.bmm(left, weights.reshape(nodes * n_atoms, degree, hidden)).view(nodes, n_atoms, -1, hidden)
    products = [weights * part[..., None] for part in factors.unbind(dim=-1)]
    parts = [product.new_zeros(nodes, n_atoms, hidden).index_add(1, receiver, product) for product in products]
    return torch.stack(parts, dim=2)
