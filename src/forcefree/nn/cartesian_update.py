"""Gated update of an atom's scalars, vectors and matrices from its own."""

from __future__ import annotations

import torch
from torch import nn

from forcefree.nn.features import Features, symmetric_traceless
from forcefree.nn.perceptron import perceptron


class CartesianUpdate(nn.Module):
    r"""Products of an atom's tensors with each other, through gates that depend on invariants alone.

    :class:`~forcefree.nn.update.GatedUpdate` with the l = 2 part: vectors gain :math:`M v`, matrices gain the symmetric
    traceless part of :math:`v \otimes v'`, scalars gain :math:`v \cdot v'`, :math:`M : M'` and :math:`v \cdot M v'`.

    Args:
        channels: Scalars and vectors per atom.
        matrix_channels: Matrices per atom.
    """

    def __init__(self, channels: int, matrix_channels: int) -> None:
        super().__init__()
        self._channels, self._matrix_channels = channels, matrix_channels
        self.mix_vectors = nn.Linear(channels, 2 * channels, bias=False)
        self.few_vectors = nn.Linear(channels, 2 * matrix_channels, bias=False)
        self.mix_matrices = nn.Linear(matrix_channels, 2 * matrix_channels, bias=False)
        self.turned = nn.Linear(matrix_channels, channels, bias=False)
        self.gate = perceptron(3 * channels + 3 * matrix_channels, channels, 3 * channels + 3 * matrix_channels)

    def forward(self, features: Features) -> Features:
        """Update one atom at a time; tensors that are zero stay zero."""
        scalars, vectors, matrices = features
        left, right = self.mix_vectors(vectors).chunk(2, dim=-1)
        one, other = self.few_vectors(vectors).chunk(2, dim=-1)
        first, second = self.mix_matrices(matrices).chunk(2, dim=-1)
        turned = (first * one[:, None]).sum(dim=2)
        product = (left * right).sum(dim=1)
        invariants = [
            scalars,
            product,
            (left * left).sum(dim=1),
            (first * second).sum(dim=(1, 2)),
            (first * first).sum(dim=(1, 2)),
            (turned * other).sum(dim=1),
        ]
        widths = [self._channels] * 3 + [self._matrix_channels] * 3
        shift, weight, along, bent, kept, made = torch.split(self.gate(torch.cat(invariants, dim=-1)), widths, dim=-1)
        outer = symmetric_traceless(one[:, :, None] * other[:, None])
        return Features(
            scalars + shift + weight * product,
            vectors + along[:, None] * right + self.turned(bent[:, None] * turned),
            matrices + kept[:, None, None] * second + made[:, None, None] * outer,
        )
