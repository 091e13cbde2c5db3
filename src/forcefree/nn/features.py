"""What an atom carries between blocks: scalars, vectors and symmetric traceless matrices in Cartesian form."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Features(NamedTuple):
    """Features of every atom.

    Attributes:
        scalars: Shape (n_atoms, channels).
        vectors: Shape (n_atoms, 3, channels).
        matrices: Symmetric and traceless, the l = 2 part, shape (n_atoms, 3, 3, matrix_channels).
    """

    scalars: Tensor
    vectors: Tensor
    matrices: Tensor

    @classmethod
    def of_scalars(cls, scalars: Tensor, matrix_channels: int) -> Features:
        """Scalars alone, with vectors and matrices that are zero."""
        n_atoms, channels = scalars.shape
        return cls(scalars, scalars.new_zeros(n_atoms, 3, channels), scalars.new_zeros(n_atoms, 3, 3, matrix_channels))


def symmetric_traceless(matrices: Tensor) -> Tensor:
    """The l = 2 part of matrices of shape (n, 3, 3, channels)."""
    symmetric = 0.5 * (matrices + matrices.transpose(1, 2))
    third = (matrices[:, 0, 0] + matrices[:, 1, 1] + matrices[:, 2, 2]) / 3.0
    identity = torch.eye(3, dtype=matrices.dtype, device=matrices.device)
    return symmetric - identity[..., None] * third[:, None, None]
