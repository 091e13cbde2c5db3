"""Pair distances and diffusion in periodic systems."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from ase.data import chemical_symbols
from vesin import NeighborList

from forcefree.analysis.pieces import Piece
from forcefree.data.trajectory import Floats, Trajectory

RDF_BIN = 0.05
"""Å."""

SQUARE_CM_PER_S = 0.1
"""One Å^2/fs in cm^2/s."""

_LONGEST = 10.0
_FRAMES_PER_PIECE = 100


@dataclass(frozen=True)
class PairDistances:
    """Distances between atoms of two elements, counted.

    Attributes:
        names: Pairs of elements such as ``H-O``.
        edges: Å, shape (n_bins + 1,).
        counts: Shape (n_pieces, n_names, n_bins).
        ideal: Counts that as many atoms without any interaction would give, shape (n_pieces, n_names, n_bins).
    """

    names: tuple[str, ...]
    edges: Floats
    counts: Floats
    ideal: Floats

    @property
    def radial(self) -> Floats:
        """Radial distribution functions over all pieces, shape (n_names, n_bins)."""
        return np.asarray(self.counts.sum(axis=0) / self.ideal.sum(axis=0))


def pair_distances(pieces: Sequence[Piece], reach: float = _LONGEST) -> PairDistances:
    """Count the distances of all pairs of atoms, by elements, in a system that is periodic in three directions.

    Distances reach to half the smallest height of the cell, at most to ``reach``; pairs within one molecule are included. At most
    100 frames of each piece are looked at.

    Args:
        pieces: Of one side.
        reach: Å.

    Returns:
        Counts, and those of an ideal gas of the same density.
    """
    run = pieces[0].frames
    edges = np.arange(0.0, min(reach, half_height(run)) + 1e-9, RDF_BIN)
    groups = {int(number): np.flatnonzero(run.numbers == number) for number in np.unique(run.numbers)}
    pairs = [(a, b) for a, b in combinations_with_replacement(groups, 2) if a != b or len(groups[a]) > 1]
    shells = 4.0 / 3.0 * np.pi * np.diff(edges**3) / abs(float(np.linalg.det(run.cell)))
    numbers = [len(groups[a]) * (len(groups[a]) - 1) / 2 if a == b else len(groups[a]) * len(groups[b]) for a, b in pairs]
    counts, frames = [], []
    for piece in pieces:
        few = piece.frames.frames(0, len(piece.frames), -(-len(piece.frames) // _FRAMES_PER_PIECE))
        counts.append(_counted(few, pairs, edges))
        frames.append(len(few))
    ideal = np.array(frames)[:, None, None] * np.array(numbers)[:, None] * shells
    names = tuple(f"{chemical_symbols[a]}-{chemical_symbols[b]}" for a, b in pairs)
    return PairDistances(names, edges, np.array(counts), ideal)


def half_height(run: Trajectory) -> float:
    """Half the smallest height of a run's cell in Å, as far as distances to nearest images go."""
    return 0.5 / float(np.linalg.norm(np.linalg.inv(run.cell), axis=0).max())


def mean_square_displacement(positions: Floats) -> Floats:
    r"""Mean square displacement over all time origins, :math:`\langle |r(t_0 + t) - r(t_0)|^2 \rangle`.

    Args:
        positions: Unwrapped, in the frame of the centre of mass, Å, shape (n_frames, n_atoms, 3).

    Returns:
        Å^2 for every lag, averaged over atoms, shape (n_frames,). Source of the fast form: Calandrini et al.,
        Collection SFN 12, 201 (2011).
    """
    frames = len(positions)
    centred = positions - positions.mean(axis=0)
    transform = np.fft.rfft(centred, n=2 * frames, axis=0)
    correlation = np.fft.irfft(np.abs(transform) ** 2, axis=0)[:frames].sum(axis=-1)
    square = (centred**2).sum(axis=-1)
    ends = np.concatenate([np.zeros((1, square.shape[1])), np.cumsum(square, axis=0)])
    lags = np.arange(frames)
    sums = ends[frames - lags] + (ends[frames] - ends[lags])
    return np.asarray(((sums - 2.0 * correlation) / (frames - lags)[:, None]).mean(axis=1))


def element_displacements(run: Trajectory) -> dict[str, Floats]:
    """Mean square displacement of each element about the system's centre of mass, Å^2, by chemical symbol."""
    centre = np.einsum("a,fad->fd", run.masses / run.masses.sum(), run.positions)
    relative = run.positions - centre[:, None]
    return {
        chemical_symbols[int(number)]: mean_square_displacement(relative[:, run.numbers == number]) for number in np.unique(run.numbers)
    }


def diffusion_coefficient(displacement: Floats, spacing: float) -> float:
    """Sixth of the slope of a mean square displacement, fitted between a tenth and a half of the longest lag.

    Args:
        displacement: Å^2 for every lag, shape (n_frames,).
        spacing: fs.

    Returns:
        cm^2/s.
    """
    fitted = slice(len(displacement) // 10, max(len(displacement) // 2, len(displacement) // 10 + 2))
    lags = np.arange(len(displacement))[fitted] * spacing
    return float(np.polyfit(lags, displacement[fitted], 1)[0]) / 6.0 * SQUARE_CM_PER_S


def _counted(run: Trajectory, pairs: Sequence[tuple[int, int]], edges: Floats) -> Floats:
    search = NeighborList(cutoff=float(edges[-1]), full_list=False)
    counts = np.zeros((len(pairs), len(edges) - 1))
    for frame in run.positions:
        i, j, lengths = search.compute(points=frame, box=run.cell, periodic=True, quantities="ijd")
        one, other = np.sort([run.numbers[i], run.numbers[j]], axis=0)
        for row, (first, second) in enumerate(pairs):
            counts[row] += np.histogram(lengths[(one == first) & (other == second)], bins=edges)[0]
    return counts
