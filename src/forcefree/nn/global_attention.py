"""Attention of every atom to every atom of its system, with a bias that depends on distance."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from forcefree.nn.attention_heads import AttentionHeads
from forcefree.nn.local_attention import bounded_exp
from forcefree.nn.padding import Padding
from forcefree.state import State

_UNIT = 2.0  # Å


class GlobalAttention(AttentionHeads):
    """Scalars and vectors of all atoms of a system, weighted by attention; no direction between atoms enters.

    Args:
        channels: Scalars and vectors per atom, a multiple of ``heads``.
        heads: Attention heads.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__(channels, heads)
        self.bias = nn.Linear(2, heads)

    def forward(self, scalars: Tensor, vectors: Tensor, closeness: Tensor, voice: Tensor, padding: Padding) -> tuple[Tensor, Tensor]:
        """What all atoms say.

        Args:
            scalars: Shape (n_rows, n_atoms, channels).
            vectors: Shape (n_rows, n_atoms, 3, channels).
            closeness: Of every two atoms, from :func:`closeness`, shape (n_rows, n_systems, largest, largest).
            voice: How loud an atom is, zero for one without neighbours, shape (n_rows, n_atoms).
            padding: Seats of the atoms.

        Returns:
            Sums of the shapes of scalars and vectors.
        """
        query, key = (padding.pad(part).transpose(2, 3) for part in (self.queries(scalars), self.keys(scalars)))
        value = padding.pad(self.values(scalars, vectors).transpose(2, 3).flatten(-2)).transpose(2, 3)
        bias = self.bias(torch.stack([closeness, closeness.square()], dim=-1)).movedim(-1, 2)
        logits = query @ key.transpose(3, 4) + bias
        weight = padding.pad(voice)[:, :, None, None] * bounded_exp(logits)
        attention = weight / (1.0 + weight.sum(dim=-1, keepdim=True))
        heard = padding.unpad((attention @ value).transpose(2, 3))
        heard = heard.reshape(*heard.shape[:-1], 4, -1).transpose(2, 3).flatten(-2)
        return heard[..., 0, :], heard[..., 1:, :]


def closeness(state: State, positions: Tensor, padding: Padding) -> Tensor:
    r"""One at contact, zero far away: :math:`1 / (1 + d / 2 Å)`, smooth and the same for every periodic image.

    Along periodic directions a separation of s cell vectors counts as :math:`\sin(\pi s) / \pi`.

    Args:
        state: Cells of the systems.
        positions: Å, shape (n_rows, n_atoms, 3).
        padding: Seats of the atoms.

    Returns:
        Shape (n_rows, n_systems, largest, largest); meaningless on empty seats.
    """
    seated = padding.pad(positions)
    separations = seated[:, :, None] - seated[:, :, :, None]
    if bool(state.pbc.any()):
        cell = state.cell.to(positions)
        fractions = torch.einsum("tsijc,sca->tsija", separations, torch.linalg.pinv(cell))
        wrapped = (torch.sin(math.pi * fractions) / math.pi).square() * cell.square().sum(dim=-1)[:, None, None]
        across = separations - torch.einsum("tsija,sac->tsijc", fractions, cell)
        square = across.square().sum(dim=-1) + wrapped.sum(dim=-1)
    else:
        square = separations.square().sum(dim=-1)
    return 1.0 / (1.0 + square.clamp_min(1e-12).sqrt() / _UNIT)
