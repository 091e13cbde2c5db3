"""Mass-weighted vibrational density of states by Welch's method.

The spectrum is the Fourier transform of the un-normalised, mass-weighted velocity autocorrelation. Its area is twice the
kinetic energy over kT, so every degree of freedom at temperature T adds an area of one, whatever its mass or frequency:
an element or a band that is too cold shows as a missing area, which a normalised autocorrelation would hide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase.data import chemical_symbols
from scipy.signal import welch

from forcefree.analysis.motion import vibrational_velocities
from forcefree.analysis.pieces import Piece
from forcefree.data.trajectory import Floats
from forcefree.units import BOLTZMANN, KINETIC_UNIT, WAVENUMBER_PER_INVERSE_FS

SEGMENT = 2000.0
"""Longest Welch segment in fs."""

_ZERO_PADDING = 4
_HANN_WIDTH = 1.5


@dataclass(frozen=True)
class PieceSpectra:
    """Density of states of each piece and element.

    Attributes:
        wavenumbers: cm^-1, equally spaced from zero, shape (n_wavenumbers,).
        density: Degrees of freedom per cm^-1, shape (n_pieces, n_elements, n_wavenumbers).
        elements: Chemical symbols, in order of atomic number.
        resolution: Equivalent noise bandwidth of the Hann window in cm^-1: lines closer than this merge.
        nyquist: cm^-1; vibrations above it appear folded below it.
    """

    wavenumbers: Floats
    density: Floats
    elements: tuple[str, ...]
    resolution: float
    nyquist: float

    @property
    def total(self) -> Floats:
        """Mean over pieces, summed over elements, shape (n_wavenumbers,)."""
        return np.asarray(self.density.mean(axis=0).sum(axis=0))


def density_of_states(
    velocities: Floats, masses: Floats, spacing: float, temperature: float, segment: float = SEGMENT
) -> tuple[Floats, Floats]:
    r"""Density of states of each atom, :math:`D_i(\nu) = m_i \sum_\alpha S_{v_{i\alpha}}(\nu) / k_B T`.

    S is the one-sided power spectral density: Hann window, half overlapping segments, no detrending, segments padded with
    zeros to four times their length. :math:`\int D_i d\nu = m_i \langle v_i^2 \rangle / k_B T`.

    Args:
        velocities: Å/fs, shape (n_frames, n_atoms, 3).
        masses: amu, shape (n_atoms,).
        spacing: Time between frames in fs.
        temperature: K.
        segment: Length of a segment in fs; at most the whole run is used.

    Returns:
        Wavenumbers in cm^-1, shape (n_wavenumbers,), and degrees of freedom per cm^-1, shape (n_atoms, n_wavenumbers).
        Source: Welch, IEEE Trans. Audio Electroacoust. 15, 70 (1967).
    """
    length = min(len(velocities), max(8, round(segment / spacing)))
    frequencies, power = welch(
        velocities, fs=1.0 / spacing, window="hann", nperseg=length, nfft=_ZERO_PADDING * length, detrend=False, scaling="density", axis=0
    )
    unit = KINETIC_UNIT / (BOLTZMANN * temperature * WAVENUMBER_PER_INVERSE_FS)
    density = unit * masses[:, None] * power.sum(axis=-1).T
    return np.asarray(frequencies * WAVENUMBER_PER_INVERSE_FS), np.asarray(density)


def piece_spectra(pieces: Sequence[Piece], target: Floats, temperature: float) -> PieceSpectra:
    """Spectrum of every piece, by element.

    Args:
        pieces: Of one side, alike in length and spacing.
        target: Structure that orients isolated molecules, Å, shape (n_atoms, 3).
        temperature: K, to count in degrees of freedom.

    Returns:
        The spectra.
    """
    first = pieces[0].frames
    numbers = np.unique(first.numbers)
    found = []
    wavenumbers = np.zeros(0)
    for piece in pieces:
        velocities = vibrational_velocities(piece.frames, target)
        wavenumbers, density = density_of_states(velocities, first.masses, first.spacing, temperature)
        found.append([density[first.numbers == number].sum(axis=0) for number in numbers])
    length = min(len(first), max(8, round(SEGMENT / first.spacing)))
    return PieceSpectra(
        wavenumbers=wavenumbers,
        density=np.array(found),
        elements=tuple(chemical_symbols[number] for number in numbers),
        resolution=_HANN_WIDTH * WAVENUMBER_PER_INVERSE_FS / (length * first.spacing),
        nyquist=0.5 * WAVENUMBER_PER_INVERSE_FS / first.spacing,
    )


def on_grid(spectra: PieceSpectra, wavenumbers: Floats) -> Floats:
    """Densities of all pieces at other wavenumbers, linear in between, shape (n_pieces, n_elements, len(wavenumbers))."""
    flat = spectra.density.reshape(-1, len(spectra.wavenumbers))
    moved = [np.interp(wavenumbers, spectra.wavenumbers, row) for row in flat]
    return np.array(moved).reshape(*spectra.density.shape[:2], -1)


def spectral_distance(first: Floats, second: Floats) -> Floats:
    r"""Area between two spectra over the sum of their areas, :math:`\int |p - q|\,d\nu / \int (p + q)\,d\nu`.

    Nothing is normalised, so a band that is too cold counts. For equal areas this is one minus their overlap.

    Args:
        first: Densities on equally spaced wavenumbers, shape (..., n_wavenumbers).
        second: The same, summed over as many pieces.

    Returns:
        0 for equal spectra, 1 for spectra that share nothing, shape (...).
    """
    return np.asarray(np.abs(first - second).sum(axis=-1) / (first + second).sum(axis=-1))


def power_above(pieces: Sequence[Piece], wavenumber: float) -> float:
    """Fraction of the mass-weighted velocity power of (finely spaced) pieces that lies above a wavenumber in cm^-1."""
    above = total = 0.0
    for piece in pieces:
        run = piece.frames
        assert run.velocities is not None
        wavenumbers, density = density_of_states(run.velocities, run.masses, run.spacing, 300.0)
        above += float(density[:, wavenumbers > wavenumber].sum())
        total += float(density.sum())
    return above / total
