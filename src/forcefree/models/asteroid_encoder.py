"""Encoder of ASTEROID: spatial attention inside frames, temporal attention along them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from forcefree.models.asteroid_config import AsteroidConfig
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
    """Tokens of atoms and frames from elements, geometry and motion of each frame.

    No departure from free flight enters. A frame that is itself a forecast, a little off, changes its tokens a little; only
    differences of neighbouring frames would make much of its error.

    Args:
        config: Widths and depths.
        n_species: Elements that the model knows.
        n_features: Invariant features of a pair.
    """

    def __init__(self, config: AsteroidConfig, n_species: int, n_features: int) -> None:
        super().__init__()
        self.element = nn.Embedding(n_species, config.channels)
        self.layers = nn.ModuleList(EncoderLayer(config, n_features) for _ in range(config.layers))

    def forward(self, rows: int, species: Tensor, around: Surroundings) -> tuple[Tensor, Tensor]:
        """Tokens of every atom and frame, which know that frame and earlier ones only.

        Args:
            rows: Frames.
            species: Index of each atom's element, shape (n_atoms,).
            around: Pairs and distances of these frames.

        Returns:
            Scalars (n_rows, n_atoms, channels) and vectors (n_rows, n_atoms, 3, channels).
        """
        scalars = self.element(species).expand(rows, -1, -1)
        vectors = scalars.new_zeros(*scalars.shape[:2], 3, scalars.shape[2])
        for layer in self.layers:
            scalars, vectors = layer(scalars, vectors, around)
        return scalars, vectors
