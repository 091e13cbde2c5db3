"""A learned ordinary differential equation for the modes of a graph, on a grid of time that no request can move."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchdiffeq import odeint

from forcefree.nn.bases import GaussianBasis
from forcefree.nn.perceptron import perceptron
from forcefree.nn.spectrum import Spectrum

_EIGENVALUES = 8


class ModeFlow(nn.Module):
    """Linear maps of a mode's own scalars and vectors, gated by its eigenvalue and by the power on its spatial scale.

    A gate sees only what a rotation of space and a change of basis inside an eigenspace leave alone. The grid covers the
    whole range of the model whatever was asked for, and between its points runs the cubic Hermite polynomial of values
    and slopes; so an answer depends on its own time alone, and has a continuous derivative.

    Args:
        channels: Scalars and vectors per mode.
        t_max: End of the grid in fs.
        steps: Fourth-order Runge-Kutta steps (torchdiffeq's ``rk4``).
        shared_clock: Show no eigenvalue to the gates.
    """

    def __init__(self, channels: int, t_max: float, steps: int, *, shared_clock: bool = False) -> None:
        super().__init__()
        self._t_max, self._steps, self._shared = t_max, steps, shared_clock
        self.eigenvalues = GaussianBasis(_EIGENVALUES, 0.0, float(_EIGENVALUES))
        self.gate = perceptron(_EIGENVALUES + 2 * channels, channels, 4 * channels)
        self.scalar_map = nn.Linear(channels, channels, bias=False)
        self.vector_map = nn.Linear(channels, channels, bias=False)

    def forward(self, amplitudes: Tensor, spectrum: Spectrum, times: Tensor) -> Tensor:
        """Amplitudes at the requested times; arguments and result as of :class:`forcefree.nn.oscillators.OscillatorFlow`."""
        values = torch.zeros_like(spectrum.values) if self._shared else spectrum.values
        clock = self.eigenvalues(values)

        def slope(_: Tensor, state: Tensor) -> Tensor:
            square = state.square()
            power = torch.cat([square[:, :, 0], square[:, :, 1:].sum(dim=2)], dim=-1)
            seen = torch.cat([clock, torch.log1p(spectrum.together @ power)], dim=-1)
            gates = torch.tanh(self.gate(seen))[:, :, None].chunk(4, dim=-1)
            scalars, vectors = state[:, :, :1], state[:, :, 1:]
            own = gates[0] * self.scalar_map(scalars) + gates[1] * scalars
            moved = gates[2] * self.vector_map(vectors) + gates[3] * vectors
            return torch.cat([own, moved], dim=2) * spectrum.moving[..., None, None]

        grid = torch.linspace(0.0, 1.0, self._steps + 1, dtype=amplitudes.dtype, device=amplitudes.device)
        points: Tensor = odeint(slope, amplitudes, grid, method="rk4")
        slopes = torch.stack([slope(grid, point) for point in points])
        return hermite(points, slopes, times / self._t_max)


def hermite(points: Tensor, slopes: Tensor, fractions: Tensor) -> Tensor:
    """Cubic Hermite interpolation on a uniform grid of [0, 1].

    Args:
        points: Shape (n_steps + 1, n_systems, ...).
        slopes: Derivatives by the fraction, of the same shape.
        fractions: Where each system is wanted, shape (n_times, n_systems).

    Returns:
        Shape (n_times, n_systems, ...).
    """
    steps = len(points) - 1
    scaled = fractions * steps
    left = scaled.detach().floor().clamp(0, steps - 1).long()
    x = (scaled - left).reshape(*fractions.shape, *[1] * (points.ndim - 2))
    system = torch.arange(points.shape[1], device=points.device)
    before, after = points[left, system], points[left + 1, system]
    leaving, arriving = slopes[left, system] / steps, slopes[left + 1, system] / steps
    rise, y = x * x * (3.0 - 2.0 * x), 1.0 - x
    return before + rise * (after - before) + x * y * (y * leaving - x * arriving)
