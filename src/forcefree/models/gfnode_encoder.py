"""Scalars and vectors of every atom from its elements, bonds, separations and velocities."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from forcefree.graph import Pairs, sum_by_receiver
from forcefree.models.gfnode_config import GfNodeConfig
from forcefree.nn.bases import GaussianBasis, envelope
from forcefree.nn.soft_norm import softly_normalised
from forcefree.nn.velocity_message import EdgeFeatures, VelocityMessage, relative_motion

_PAIR_WIDTH = 16
_TIME = 50.0  # fs, in which thermal atoms move some tenths of an Å


class GfNodeEncoder(nn.Module):
    """Message passing over all pairs inside the cutoff, started by each atom's velocity and its place among its bonds.

    Args:
        config: Widths and depths.
        n_species: Elements that the model knows.
        cutoff: Å.
    """

    def __init__(self, config: GfNodeConfig, n_species: int, cutoff: float) -> None:
        super().__init__()
        self._n_species, self._cutoff = n_species, cutoff
        channels = config.channels
        self.radial = GaussianBasis(config.radial_functions, 0.6, cutoff)
        self.element = nn.Embedding(n_species, channels)
        self.start = nn.Embedding(n_species, 2 * channels)
        self.pair = nn.Embedding(n_species * n_species, _PAIR_WIDTH)
        width = config.radial_functions + _PAIR_WIDTH + 4
        self.messages = nn.ModuleList(
            VelocityMessage(channels, width, config.filter_width, config.neighbours) for _ in range(config.layers)
        )

    def forward(
        self, separations: Tensor, distances: Tensor, bonds: Tensor, velocities: Tensor, species: Tensor, pairs: Pairs
    ) -> tuple[Tensor, Tensor]:
        """Encode one frame.

        Args:
            separations: Vectors from receiver to sender, Å, shape (n_pairs, 3).
            distances: Their lengths, shape (n_pairs,).
            bonds: Weight of the bond between the two, shape (n_pairs,).
            velocities: Å/fs, shape (n_atoms, 3).
            species: Index of each atom's element, shape (n_atoms,).
            pairs: Who sends to whom.

        Returns:
            Scalars (n_atoms, channels) and vectors (n_atoms, 3, channels).
        """
        receiver, sender, n_atoms = pairs.receiver, pairs.sender, len(species)
        relative = (velocities[sender] - velocities[receiver]) * _TIME
        _, directions, motion = relative_motion(separations, relative)
        pair = self.pair(species[receiver] * self._n_species + species[sender])
        edges = EdgeFeatures(
            receiver=receiver,
            sender=sender,
            degree=pairs.degree,
            invariants=torch.cat([self.radial(distances), pair, bonds[:, None], motion], dim=-1),
            envelope=envelope(distances, self._cutoff)[:, None],
            directions=directions[..., None],
            velocities=relative[..., None],
        )
        off_centre = sum_by_receiver(bonds[:, None] * separations, receiver, n_atoms, pairs.degree)
        by_velocity, by_place = self.start(species)[:, None].chunk(2, dim=-1)
        scalars = self.element(species)
        vectors = _TIME * velocities[..., None] * by_velocity + off_centre[..., None] * by_place
        for message in self.messages:
            scalars, vectors = softly_normalised(*message(scalars, vectors, edges))
        return scalars, vectors
