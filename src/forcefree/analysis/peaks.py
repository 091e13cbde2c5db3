"""Peaks of a vibrational spectrum: found in the reference, kept where its halves agree, sought in the trajectory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.signal import find_peaks

from forcefree.analysis.pieces import Split, plausible_bound
from forcefree.data.trajectory import Floats

PROMINENCE = 0.04
"""Of a reference peak, relative to the highest; the counterpart that is sought needs a quarter of it."""

MATCHING_WINDOW = 100.0
"""cm^-1 within which a counterpart is sought."""

_LOWEST = 100.0
_FOUND_IN = 0.8


@dataclass(frozen=True)
class Peak:
    """One peak of the reference and its counterpart.

    Attributes:
        reference: Position in cm^-1.
        model: Position of the counterpart in cm^-1, or None where there is none.
        ceiling: Mean distance in cm^-1 between the peak in two halves of the reference.
        bound: The largest such distance that is plausible.
        least: The smallest distance in cm^-1, over all splits, between part of the trajectory and half the reference; None
            where no part shows the peak.
    """

    reference: float
    model: float | None
    ceiling: float
    bound: float
    least: float | None


def peak_positions(wavenumbers: Floats, density: Floats, prominence: float = PROMINENCE) -> Floats:
    """Positions of the peaks above 100 cm^-1, refined by a parabola through the logarithm of three points.

    Args:
        wavenumbers: cm^-1, equally spaced, shape (n_wavenumbers,).
        density: Not negative, shape (n_wavenumbers,).
        prominence: Least prominence, relative to the highest point above 100 cm^-1.

    Returns:
        cm^-1, ascending. The parabola is exact for a Gaussian line, and a Hann-windowed line is close to one.
    """
    if not (wavenumbers > _LOWEST).any():
        return np.zeros(0)
    highest = float(density[wavenumbers > _LOWEST].max())
    tops, _ = find_peaks(density, prominence=prominence * highest)
    tops = tops[wavenumbers[tops] > _LOWEST]
    left, centre, right = (np.log(np.maximum(density[tops + shift], 1e-300)) for shift in (-1, 0, 1))
    shift = 0.5 * (left - right) / (left - 2.0 * centre + right)
    return np.asarray(wavenumbers[tops] + shift * (wavenumbers[1] - wavenumbers[0]))


def match(positions: Floats, others: Floats) -> Floats:
    """Pair each peak with at most one of another spectrum, the closest pairs first.

    Args:
        positions: cm^-1, shape (n_peaks,).
        others: cm^-1, shape (n_others,).

    Returns:
        The partner of each peak in cm^-1, NaN where none is left within 100 cm^-1, shape (n_peaks,).
    """
    partners = np.full(len(positions), np.nan)
    gaps = np.abs(positions[:, None] - others[None, :])
    while gaps.size and gaps.min() <= MATCHING_WINDOW:
        peak, other = np.unravel_index(int(gaps.argmin()), gaps.shape)
        partners[peak] = others[other]
        gaps[peak, :] = np.inf
        gaps[:, other] = np.inf
    return partners


def compare_peaks(wavenumbers: Floats, model: Floats, reference: Floats, splits: Sequence[Split]) -> list[Peak]:
    """Peaks that the reference reproduces in its own halves, beside those of the trajectory.

    Positions come from all data of each side; the ceiling comes from halves and therefore lies a little high.

    Args:
        wavenumbers: cm^-1, shape (n_wavenumbers,).
        model: Spectra of pieces, shape (n_pieces, n_wavenumbers).
        reference: The same.
        splits: Halves of the reference.

    Returns:
        Peaks in ascending order; those that fewer than four fifths of the halves show are left out.
    """
    positions = peak_positions(wavenumbers, reference.mean(axis=0))
    partners = match(positions, peak_positions(wavenumbers, model.mean(axis=0), 0.25 * PROMINENCE))
    halves = np.array([[_sought(wavenumbers, reference[half], positions) for half in (s.first, s.second)] for s in splits])
    shifts = np.abs(halves[:, 0] - halves[:, 1])
    seen = np.isfinite(shifts).mean(axis=0) >= _FOUND_IN
    ceilings = np.nanmean(shifts[:, seen], axis=0)
    bounds = plausible_bound(shifts[:, seen], splits[0].units)
    parts = np.array([_sought(wavenumbers, model[split.model], positions) for split in splits])
    least = np.fmin.reduce(np.abs(parts[:, None] - halves), axis=(0, 1))
    return [
        Peak(float(position), _known(partner), float(ceiling), float(bound), _known(close))
        for position, partner, ceiling, bound, close in zip(positions[seen], partners[seen], ceilings, bounds, least[seen], strict=True)
    ]


def _sought(wavenumbers: Floats, pieces: Floats, positions: Floats) -> Floats:
    return match(positions, peak_positions(wavenumbers, pieces.mean(axis=0), 0.25 * PROMINENCE))


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
