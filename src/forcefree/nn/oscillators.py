"""Damped oscillators in closed form, one clock per channel and eigenvalue of the graph."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from forcefree.nn.bases import GaussianBasis
from forcefree.nn.perceptron import perceptron
from forcefree.nn.spectrum import Spectrum

_EIGENVALUES = 8  # Gaussians on the eigenvalues 0 to 8 of molecular graphs
_WIDTH = 16
_DAMPING = 0.1  # of a clock before training, in units of its frequency


class OscillatorFlow(nn.Module):
    r"""Amplitudes :math:`q(t) = e^{-\gamma t} (q_0 \cos \omega t - p_0 \sin \omega t)` of every mode.

    This is the exponential of the generator :math:`\begin{pmatrix} -\gamma & -\omega \\ \omega & -\gamma \end{pmatrix}`, so that
    any time costs the same. Frequency and damping of a channel are functions of the mode's eigenvalue; quadratures
    :math:`p_0` are a linear map of :math:`q_0`.

    Args:
        channels: Scalars and vectors per mode.
        shortest: Shortest period in fs before training.
        longest: Longest period in fs before training.
        shared_clock: Let all modes keep the time of eigenvalue zero.
    """

    def __init__(self, channels: int, shortest: float, longest: float, *, shared_clock: bool = False) -> None:
        super().__init__()
        self._shared = shared_clock
        frequencies = torch.logspace(math.log10(2.0 * math.pi / longest), math.log10(2.0 * math.pi / shortest), channels)
        self.log_rates = nn.Parameter(torch.stack([frequencies.log(), (_DAMPING * frequencies).log()]))
        self.eigenvalues = GaussianBasis(_EIGENVALUES, 0.0, float(_EIGENVALUES))
        self.shift = perceptron(_EIGENVALUES, _WIDTH, 2 * channels)
        self.scalar_quadrature = nn.Linear(channels, channels, bias=False)
        self.vector_quadrature = nn.Linear(channels, channels, bias=False)

    def forward(self, amplitudes: Tensor, spectrum: Spectrum, times: Tensor) -> Tensor:
        """Amplitudes at the requested times.

        Args:
            amplitudes: At time zero, scalars and vectors, shape (n_systems, n_modes, 4, channels).
            spectrum: Of the graph.
            times: fs, shape (n_times, n_systems).

        Returns:
            Shape (n_times, n_systems, n_modes, 4, channels).
        """
        values = torch.zeros_like(spectrum.values) if self._shared else spectrum.values
        shifts = self.shift(self.eigenvalues(values)).unflatten(-1, (2, -1))
        frequency, damping = ((self.log_rates + shifts).exp() * spectrum.moving[..., None, None]).unbind(dim=2)
        quadrature = torch.cat([self.scalar_quadrature(amplitudes[:, :, :1]), self.vector_quadrature(amplitudes[:, :, 1:])], dim=2)
        elapsed = times[:, :, None, None]
        decay, phase = torch.exp(-damping * elapsed), frequency * elapsed
        return (decay * torch.cos(phase))[..., None, :] * amplitudes - (decay * torch.sin(phase))[..., None, :] * quadrature
