"""Pairs of atoms in several frames of the same systems, one frame after another."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from forcefree.graph import Pairs, sum_by_receiver
from forcefree.nn.bases import GaussianBasis, envelope
from forcefree.nn.velocity_message import EdgeFeatures, relative_motion

_PAIR_WIDTH = 16
_VELOCITY_UNIT = 10.0  # fs
_MOTION_SCALE = 3.0  # brings relative velocities (Å per 10 fs) and their squares to order one
_NEAREST = 0.6  # Å


class FramePairs(nn.Module):
    """Features of all pairs in all frames: distance, elements and relative motion.

    Args:
        count: Gaussians of the distance.
        n_species: Elements that the model knows.
        cutoff: Å.
    """

    def __init__(self, count: int, n_species: int, cutoff: float) -> None:
        super().__init__()
        self._cutoff, self._n_species = cutoff, n_species
        self.radial = GaussianBasis(count, _NEAREST, cutoff)
        self.pair = nn.Embedding(n_species * n_species, _PAIR_WIDTH)
        self.n_features = count + _PAIR_WIDTH + 3

    def forward(self, separations: Tensor, velocities: Tensor, pairs: Pairs, species: Tensor, listed: Tensor | None = None) -> EdgeFeatures:
        """Features of the same pairs in every frame; they fade smoothly towards the cutoff.

        Args:
            separations: From receiver to sender, Å, shape (n_rows, n_pairs, 3).
            velocities: Relative velocities, Å/fs, shape (n_rows, n_pairs, 3).
            pairs: All that are within the cutoff in one of the frames.
            species: Index of each atom's element, shape (n_atoms,).
            listed: Where pairs are those of another frame, their distances there in Å, shape (n_pairs,); they fade in both.
        """
        rows, atoms = len(separations), len(species)
        distances, directions, motion = relative_motion(separations.flatten(0, 1), _VELOCITY_UNIT * velocities.flatten(0, 1))
        kinds = self.pair(species[pairs.receiver] * self._n_species + species[pairs.sender])
        fade = envelope(distances, self._cutoff)
        if listed is not None:
            fade = fade * envelope(listed, self._cutoff).repeat(rows)
        offsets = (atoms * torch.arange(rows, device=species.device)).repeat_interleave(len(pairs.receiver))
        return EdgeFeatures(
            receiver=pairs.receiver.repeat(rows) + offsets,
            sender=pairs.sender.repeat(rows) + offsets,
            degree=pairs.degree,
            invariants=torch.cat([self.radial(distances), kinds.repeat(rows, 1), _MOTION_SCALE * motion], dim=-1),
            envelope=fade[:, None],
            directions=directions[..., None],
            velocities=_VELOCITY_UNIT * velocities.flatten(0, 1)[..., None],
        )


def participation(distances: Tensor, receiver: Tensor, n_atoms: int, degree: int, cutoff: float) -> Tensor:
    """How much each atom is among others, between 0 for an atom without neighbours and 1.

    Args:
        distances: Å, shape (n_pairs,).
        receiver: Shape (n_pairs,), sorted.
        n_atoms: Number of receivers.
        degree: Pairs per receiver where all have the same, otherwise 0.
        cutoff: Å.

    Returns:
        Shape (n_atoms,).
    """
    return torch.tanh(sum_by_receiver(envelope(distances, cutoff), receiver, n_atoms, degree))
