"""What the cubic through the last two frames says of the segment to come."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_FIRST_SPREAD = 0.1
_LONGEST = 5.0
"""Bound of the features that a bend becomes, in units of a typical departure: products of long vectors grow from block to block."""


class PastBend(nn.Module):
    r"""Turns the bend of the past into vectors to begin with and into a first forecast.

    Bends are :math:`a T^2 / 2` and :math:`j T^3 / 6` for a segment of length :math:`T`, acceleration and its change being those at its
    start. The first is believed wholly before training and the second not at all; training weighs both for each element. In data that was
    integrated in coarse steps they are not the derivatives themselves, but say as much.

    Args:
        n_species: Elements that the model knows.
        channels: Vectors per atom.
    """

    def __init__(self, n_species: int, channels: int) -> None:
        super().__init__()
        self.mix = nn.Embedding(n_species, 2 * channels)
        nn.init.normal_(self.mix.weight, std=_FIRST_SPREAD)
        self.belief = nn.Parameter(torch.tensor([1.0, 0.0]).repeat(n_species, 1))

    def vectors(self, bend: Tensor, species: Tensor) -> Tensor:
        """Features of each atom, of bounded length.

        Args:
            bend: In units of a typical departure, shape (n_atoms, 3, 2).
            species: Index of each atom's element, shape (n_atoms,).

        Returns:
            Shape (n_atoms, 3, channels).
        """
        bounded = bend * (1.0 + bend.square().sum(dim=1, keepdim=True) / _LONGEST**2).rsqrt()
        return torch.einsum("nap,npc->nac", bounded, self.mix(species).unflatten(1, (2, -1)))

    def coefficients(self, bend: Tensor, species: Tensor, outputs: int) -> Tensor:
        r"""The forecast of the cubic, :math:`(t/T)^2 T_0` and :math:`(t/T)^3 = (t/T)^2 (T_0 + T_1) / 2`.

        Args:
            bend: Å, shape (n_atoms, 3, 2).
            species: Index of each atom's element, shape (n_atoms,).
            outputs: Functions of time, two or more.

        Returns:
            Å, shape (n_atoms, 3, outputs).
        """
        pulled, growing = (bend * self.belief[species][:, None]).unbind(dim=-1)
        first, second = pulled + 0.5 * growing, 0.5 * growing
        return torch.nn.functional.pad(torch.stack([first, second], dim=-1), (0, outputs - 2))
