"""The equivariant temporal convolution of EGNO: a Fourier layer along the requested times."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class TemporalConvolution(nn.Module):
    """Multiply the lowest Fourier modes along time by complex matrices that leave the axes of space alone.

    Xu et al., "Equivariant Graph Neural Operator for Modeling 3D Dynamics" (ICML 2024): scalars pass a nonlinearity,
    vectors do not, and both are added to what came in.

    Args:
        channels: Scalars per atom.
        modes: Fourier modes that are kept.
    """

    def __init__(self, channels: int, modes: int) -> None:
        super().__init__()
        self._modes = modes
        self.scalar_weights = nn.Parameter(torch.randn(2, modes, channels, channels) / channels)
        self.vector_weights = nn.Parameter(torch.randn(2, modes, 2, 2) / math.sqrt(2.0 * modes))

    def forward(self, scalars: Tensor, moved: Tensor, velocities: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mix the times.

        Args:
            scalars: Shape (n_times, n_atoms, channels).
            moved: Displacements, shape (n_times, n_atoms, 3).
            velocities: Shape (n_times, n_atoms, 3).

        Returns:
            The three in the same shapes.
        """
        vectors = torch.stack([moved, velocities], dim=-1)
        mixed = vectors + self._convolved(vectors, self.vector_weights)
        fresh = nn.functional.silu(self._convolved(scalars, self.scalar_weights))
        return scalars + fresh, mixed[..., 0], mixed[..., 1]

    def _convolved(self, sequence: Tensor, weights: Tensor) -> Tensor:
        count = len(sequence)
        spectrum = torch.fft.rfft(sequence, dim=0, norm="ortho")
        kept = min(self._modes, len(spectrum))
        kernel = torch.complex(weights[0, :kept], weights[1, :kept])
        low = torch.einsum("m...c,mcd->m...d", spectrum[:kept], kernel)
        rest = torch.zeros_like(spectrum[kept:])
        filtered: Tensor = torch.fft.irfft(torch.cat([low, rest]), n=count, dim=0, norm="ortho")
        return filtered
