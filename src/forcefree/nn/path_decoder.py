"""Displacements at requested times from what each atom was and what its modes have become."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from forcefree.nn.soft_norm import softly_normalised
from forcefree.nn.time_features import TimeFeatures
from forcefree.nn.update import GatedUpdate

_START = 0.1  # size of the output before training, so that it begins close to the start structure


class PathDecoder(nn.Module):
    """Gated updates of atoms one by one, at each time for itself, which sees the time in sines and cosines.

    Args:
        channels: Scalars and vectors per atom.
        layers: Gated updates.
        shortest: Shortest period of the time features in fs.
        longest: Longest period in fs.
    """

    def __init__(self, channels: int, layers: int, shortest: float, longest: float) -> None:
        super().__init__()
        self.time_features = TimeFeatures(shortest, longest)
        self.scalars = nn.Linear(2 * channels + TimeFeatures.count, channels)
        self.vectors = nn.Linear(2 * channels, channels, bias=False)
        self.updates = nn.ModuleList(GatedUpdate(channels) for _ in range(layers))
        self.readout = nn.Linear(channels, 1, bias=False)
        nn.init.normal_(self.readout.weight, std=_START / channels**0.5)

    def forward(self, initial: Tensor, evolved: Tensor, times: Tensor) -> Tensor:
        """Decode.

        Args:
            initial: Scalars and vectors at time zero, shape (n_atoms, 4, channels).
            evolved: The same at each time, shape (n_times, n_atoms, 4, channels).
            times: fs, shape (n_times, n_atoms).

        Returns:
            Vectors of order one, shape (n_times, n_atoms, 3).
        """
        n_times, n_atoms = times.shape
        both = torch.cat([initial.expand_as(evolved), evolved], dim=-1).flatten(0, 1)
        scalars = self.scalars(torch.cat([both[:, 0], self.time_features(times.reshape(-1))], dim=-1))
        vectors = self.vectors(both[:, 1:])
        for update in self.updates:
            scalars, vectors = update(*softly_normalised(scalars, vectors))
        displacements: Tensor = self.readout(vectors)[..., 0]
        return displacements.view(n_times, n_atoms, 3)
