"""Vibrations about a reference structure, seen from its own frame: graph modes and coupled oscillators, in closed form."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from forcefree.nn.bases import GaussianBasis
from forcefree.nn.perceptron import perceptron
from forcefree.nn.tensor_constants import ConstantsModule

_EIGENVALUES = 8  # Gaussians on the eigenvalues 0 to 8 of molecular graphs
_WIDTH = 16
_PERIOD = 60.0  # fs, of a graph mode before training
_MEMORY = 30.0  # fs, after which it has faded before training
_LASTING = 1500.0  # fs, the same of a coupled oscillator
_FASTEST = 60.0  # fs, shortest period of the relaxations before training
_LEAST = 1e-4  # Å, amplitude below which nothing vibrates
_SMALL = 0.03  # of their amplitudes before training


class Vibrations(ConstantsModule):
    r"""From displacements :math:`u` and velocities :math:`w` about a shape to those at later times, both exact at t = 0.

    Both go to the modes of the reference's bond graph. There the amplitudes of damped oscillators are read off linearly,
    :math:`z = E (u, w, 1)`, turned in closed form, :math:`z(t) = z e^{(i \omega - \gamma) t}`, and returned,
    :math:`\hat u(t) = \mathrm{Re} (D z(t))`. What they leave of :math:`u` and :math:`w` is carried by one damped oscillator
    for each graph mode and axis, whose frequency and damping are functions of the eigenvalue. All of it fades, so that the
    forecast goes from the molecule as it is to the shape, which may itself turn and shrink.

    Args:
        values: Eigenvalues of the reference's Laplacian, float64, shape (n_atoms,).
        vectors: Their eigenvectors as columns, float64, shape (n_atoms, n_atoms).
        moving: Modes that evolve, 1 or 0, float64, shape (n_atoms,).
        relaxations: Coupled oscillators beyond the 3 n_atoms - 6 of the vibrations, for slow turning and drift.
        longest: Their longest period in fs before training.
        coupled: Have coupled oscillators at all.
        shared_clock: Let all graph modes keep the time of eigenvalue zero.
    """

    values: Tensor
    vectors: Tensor
    moving: Tensor
    size: Tensor
    speed: Tensor

    def __init__(
        self, values: Tensor, vectors: Tensor, moving: Tensor, *, relaxations: int, longest: float, coupled: bool, shared_clock: bool
    ) -> None:
        super().__init__()
        self.keep("values", torch.zeros_like(values) if shared_clock else values)
        self.keep("vectors", vectors)
        self.keep("moving", moving)
        self.eigenvalues = GaussianBasis(_EIGENVALUES, 0.0, float(_EIGENVALUES))
        self.shift = perceptron(_EIGENVALUES, _WIDTH, 6)
        clock = torch.tensor([math.log(2.0 * math.pi / _PERIOD), -math.log(_MEMORY)])
        self.log_rates = nn.Parameter(clock[:, None].repeat(1, 3))
        inputs, vibrations = 3 * len(values), 3 * len(values) - 6
        count = vibrations + relaxations if coupled else 0
        self.register_buffer("size", torch.tensor(0.1))
        self.register_buffer("speed", torch.tensor(0.01))
        slow = torch.logspace(math.log10(longest), math.log10(_FASTEST), relaxations)
        periods = torch.cat([torch.full((vibrations,), _PERIOD), slow])[:count]
        fading = torch.cat([torch.full((vibrations,), _LASTING), slow])[:count]
        self.log_frequency = nn.Parameter((2.0 * math.pi / periods).log())
        self.log_damping = nn.Parameter(-fading.log())
        self.encode = nn.Parameter(_SMALL * torch.randn(2, 2 * inputs + 1, count))
        self.decode = nn.Parameter(_SMALL * 0.1 * torch.randn(2, count, inputs))

    def forward(self, displaced: Tensor, velocities: Tensor, times: Tensor) -> tuple[Tensor, Tensor]:
        """Displacements (Å) and velocities (Å/fs) at the requested times.

        Args:
            displaced: From the shape, in its frame, Å, shape (n, n_atoms, 3).
            velocities: In its frame, Å/fs, shape (n, n_atoms, 3).
            times: fs, shape (n_times, n).

        Returns:
            Each of shape (n_times, n, n_atoms, 3).
        """
        there, rates, (start, slope) = self._coupled(self.vectors.T @ displaced, self.vectors.T @ velocities, times)
        left, leaving = self.vectors.T @ displaced - start, self.vectors.T @ velocities - slope
        frequency, damping = (self.log_rates.flatten() + self.shift(self.eigenvalues(self.values))).exp().view(-1, 2, 3).unbind(dim=1)
        elapsed = times[:, :, None, None]
        fading = torch.exp(-damping * elapsed)
        sine, cosine = fading * torch.sin(frequency * elapsed) / frequency, fading * torch.cos(frequency * elapsed)
        evolves = self.moving[:, None]
        held, lost = cosine + damping * sine, -(frequency.square() + damping.square()) * sine
        there = there + (1.0 - evolves + evolves * held) * left + sine * leaving
        rates = rates + evolves * lost * left + (cosine - damping * sine) * leaving
        return self.vectors @ there, self.vectors @ rates

    def _coupled(self, modes: Tensor, motion: Tensor, times: Tensor) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
        """What the coupled oscillators make of amplitudes of graph modes: values and rates at the times, and both at time zero."""
        evolves = self.moving[:, None]
        inputs = torch.cat([(evolves * modes).flatten(1) / self.size, (evolves * motion).flatten(1) / self.speed], dim=1)
        inputs = torch.cat([inputs, torch.ones_like(inputs[:, :1])], dim=1)
        real, imaginary = inputs @ self.encode[0], inputs @ self.encode[1]
        frequency, damping = self.log_frequency.exp(), self.log_damping.exp()

        def decoded(real: Tensor, imaginary: Tensor) -> Tensor:
            flat = real @ self.decode[0] + imaginary @ self.decode[1]
            modes: Tensor = flat.view(*flat.shape[:-1], len(self.values), 3) * evolves
            return modes

        def slopes(real: Tensor, imaginary: Tensor) -> Tensor:
            return decoded(frequency * imaginary - damping * real, -frequency * real - damping * imaginary)

        elapsed = times[..., None]
        fading = torch.exp(-damping * elapsed)
        cosine, sine = fading * torch.cos(frequency * elapsed), fading * torch.sin(frequency * elapsed)
        later = cosine * real + sine * imaginary, cosine * imaginary - sine * real
        return decoded(*later), slopes(*later), (decoded(real, imaginary), slopes(real, imaginary))

    def start_from(self, displaced: Tensor, velocities: Tensor) -> None:
        """Begin with the quasi-harmonic modes of a sample; see :func:`quasi_harmonic`.

        Args:
            displaced: Å, shape (n, n_atoms, 3), n far more than 3 n_atoms.
            velocities: Å/fs, of the same shape.
        """
        modes, motion = ((self.vectors.T @ each).flatten(1) for each in (displaced, velocities))
        self.size.copy_(modes.square().mean().sqrt().clamp_min(_LEAST))
        self.speed.copy_(motion.square().mean().sqrt().clamp_min(_LEAST / _PERIOD))
        if not self.log_frequency.numel():
            return
        frequencies, shapes, reading = quasi_harmonic(modes.double(), motion.double())
        count = len(frequencies)
        with torch.no_grad():
            self.log_frequency[:count] = frequencies.log()
            self.encode[:, :, :count] = 0.0
            self.decode[:, :count] = 0.0
            self.encode[0, : modes.shape[1], :count] = reading * self.size
            self.encode[1, modes.shape[1] : -1, :count] = reading / frequencies * self.speed
            self.decode[0, :count] = shapes.T.to(self.decode)


def quasi_harmonic(displaced: Tensor, velocities: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    r"""Modes that make both covariances diagonal: :math:`\langle \dot q^2 \rangle = \omega^2 \langle q^2 \rangle` for each.

    Karplus and Kushick, Macromolecules 14, 325 (1981), with the covariance of velocities in place of temperature and masses, so that
    some of the atoms of a molecule will do. The six directions of least amplitude, those of a rigid body, are left out.

    Args:
        displaced: Samples of displacements, Å, shape (n, n_coordinates).
        velocities: Å/fs, of the same shape.

    Returns:
        Frequencies in rad/fs, ascending, shape (n_modes,); shapes of amplitude one, shape (n_coordinates, n_modes); and
        what reads amplitudes off displacements, of the same shape.
    """
    spread, basis = torch.linalg.eigh(displaced.T @ displaced / len(displaced))
    kept = torch.arange(len(spread), device=spread.device) >= 6
    kept &= spread > _LEAST**2
    scaled = basis[:, kept] * spread[kept].sqrt()
    inward = basis[:, kept] / spread[kept].sqrt()
    squares, turn = torch.linalg.eigh(inward.T @ (velocities.T @ velocities / len(velocities)) @ inward)
    return squares.clamp_min(1e-12).sqrt(), scaled @ turn, inward @ turn
