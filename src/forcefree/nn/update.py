"""Gated update of an atom's scalars and vectors from its own vectors."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from forcefree.nn.perceptron import perceptron


class GatedUpdate(nn.Module):
    """Scalars from invariant products of two mixed sets of vectors, vectors through gates that depend on scalars alone.

    After Schütt, Unke and Gastegger, ICML 2021 (PaiNN), with the squared norm instead of the norm so that the map is
    smooth where a vector vanishes.

    Args:
        channels: Scalars and vectors per atom.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mix = nn.Linear(channels, 2 * channels, bias=False)
        self.gate = perceptron(3 * channels, channels, 3 * channels)

    def forward(self, scalars: Tensor, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Update one atom at a time.

        Args:
            scalars: Shape (n_atoms, channels).
            vectors: Shape (n_atoms, 3, channels).

        Returns:
            Scalars and vectors of the same shapes.
        """
        left, right = self.mix(vectors).chunk(2, dim=-1)
        product, square = (left * right).sum(dim=1), (left * left).sum(dim=1)
        shift, gate, weight = self.gate(torch.cat([scalars, product, square], dim=-1)).chunk(3, dim=-1)
        return scalars + shift + weight * product, vectors + gate[:, None] * right
