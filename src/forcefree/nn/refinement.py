"""Refinement of a provisional trajectory: the network sees where its own forecast would put the atoms inside the segment."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from forcefree.graph import sum_by_receiver
from forcefree.nn.bases import envelope
from forcefree.nn.update import GatedUpdate
from forcefree.nn.velocity_message import EdgeFeatures


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

    def __init__(
        self, channels: int, n_radial: int, n_pair: int, hidden: int, n_nodes: int, cutoff: float, neighbours: float
    ) -> None:
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

    def forward(
        self, scalars: Tensor, vectors: Tensor, edges: EdgeFeatures, radial: Tensor, pair: Tensor, separations: Tensor, distances: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Refine once.

        Args:
            scalars: Shape (n_atoms, channels).
            vectors: Shape (n_atoms, 3, channels).
            edges: The pairs.
            radial: Radial basis at each time, shape (n_pairs, n_nodes, n_radial).
            pair: Features of the pair of elements, shape (n_pairs, n_pair).
            separations: Provisional vectors from receiver to sender, Å, shape (n_pairs, n_nodes, 3).
            distances: Their lengths, shape (n_pairs, n_nodes, 1).

        Returns:
            Scalars and vectors of the same shapes.
        """
        n_atoms = len(scalars)
        context = self.context(
            torch.nn.functional.silu(self.receiver_context(scalars)[edges.receiver] + self.sender_context(scalars)[edges.sender])
        )
        hidden = torch.nn.functional.silu(self.radial_filter(radial) + self.pair_filter(pair)[:, None])
        fade = edges.envelope[:, None] * envelope(distances, self._cutoff) * self._norm
        weights = self.filter(hidden) * context[:, None] * fade
        message = weights[:, None] * (separations / distances).transpose(1, 2)[..., None]
        gathered = sum_by_receiver(message.flatten(2), edges.receiver, n_atoms, edges.degree)
        summed = sum_by_receiver(weights.flatten(1), edges.receiver, n_atoms, edges.degree)
        updated: tuple[Tensor, Tensor] = self.update(
            scalars + self.scalars_from_times(summed), vectors + self.vectors_from_times(gathered)
        )
        return updated
