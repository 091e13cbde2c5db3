"""Encoder of ASTEROID: the primary map from what is observed at a frame to its delay vector."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from forcefree.models.asteroid_config import AsteroidConfig
from forcefree.nn.delay import DelayModes
from forcefree.nn.spatial_attention import SpatialAttention, Surroundings, updated
from forcefree.nn.temporal_attention import TemporalAttention
from forcefree.nn.update import GatedUpdate


class EncoderLayer(nn.Module):
    """Spatial attention inside every frame, then attention of every atom to its earlier frames.

    Args:
        config: Widths.
        n_features: Invariant features of a pair.
    """

    def __init__(self, config: AsteroidConfig, n_features: int) -> None:
        super().__init__()
        self.spatial = SpatialAttention(
            config.channels,
            n_features,
            config.filter_width,
            config.heads,
            use_local=config.local_attention,
            use_global=config.global_attention,
        )
        self.temporal = TemporalAttention(config.channels, config.heads, config.window)
        self.update = GatedUpdate(config.channels)

    def forward(self, scalars: Tensor, vectors: Tensor, around: Surroundings) -> tuple[Tensor, Tensor]:
        """Scalars (n_rows, n_atoms, channels) and vectors (n_rows, n_atoms, 3, channels), updated."""
        rows = torch.arange(len(scalars), device=scalars.device)
        scalars, vectors = self.spatial(scalars, vectors, around)
        heard, pulled = self.temporal(scalars, self.temporal.remember(scalars, vectors), rows, rows)
        return updated(self.update, scalars + heard, vectors + pulled)


class Encoder(nn.Module):
    """Tokens of atoms and frames from elements and from how the recent past departs from free flight.

    Args:
        config: Widths and depths.
        n_species: Elements that the model knows.
        n_modes: Coordinates of the past of an atom.
        n_features: Invariant features of a pair.
    """

    def __init__(self, config: AsteroidConfig, n_species: int, n_modes: int, n_features: int) -> None:
        super().__init__()
        self.element = nn.Embedding(n_species, config.channels)
        self.delay = nn.Linear(n_modes, config.channels, bias=False)
        self.layers = nn.ModuleList(EncoderLayer(config, n_features) for _ in range(config.layers))

    def forward(self, modes: Tensor, species: Tensor, around: Surroundings) -> tuple[Tensor, Tensor]:
        """Tokens of every atom and frame, which know that frame and earlier ones only.

        Args:
            modes: Coordinates of the past, dimensionless, shape (n_rows, n_atoms, 3, n_modes).
            species: Index of each atom's element, shape (n_atoms,).
            around: Pairs and distances of these frames.

        Returns:
            Scalars (n_rows, n_atoms, channels) and vectors (n_rows, n_atoms, 3, channels).
        """
        scalars, vectors = self.element(species).expand(len(modes), -1, -1), self.delay(modes)
        for layer in self.layers:
            scalars, vectors = layer(scalars, vectors, around)
        return scalars, vectors


class PrimaryMap(nn.Module):
    """From tokens to delay vectors: the best linear forecast of vibrations, and what the network adds.

    Args:
        modes: Linear forecast to start from, and scale of the outputs.
        n_species: Elements that the model knows.
        channels: Of the tokens.
    """

    spread: Tensor

    def __init__(self, modes: DelayModes, n_species: int, channels: int) -> None:
        super().__init__()
        self.linear = nn.Parameter(modes.forecast.to(torch.get_default_dtype()).repeat(n_species, 1, 1))
        self.readout = nn.Linear(channels, len(modes.spread), bias=False)
        nn.init.zeros_(self.readout.weight)
        self.register_buffer("spread", modes.spread.to(torch.get_default_dtype()), persistent=False)

    def forward(self, modes: Tensor, vectors: Tensor, species: Tensor, voice: Tensor) -> Tensor:
        """Delay vectors of all rows.

        Args:
            modes: Shape (n_rows, n_atoms, 3, n_modes).
            vectors: Of the tokens, shape (n_rows, n_atoms, 3, channels).
            species: Shape (n_atoms,).
            voice: Zero for an atom without neighbours, shape (n_rows, n_atoms).

        Returns:
            Departures in units of the atom's scale, shape (n_rows, n_atoms, 3, 2 horizon).
        """
        linear = torch.einsum("tack,akh->tach", modes, self.linear[species])
        delay: Tensor = voice[..., None, None] * (linear + self.spread * self.readout(vectors))
        return delay
