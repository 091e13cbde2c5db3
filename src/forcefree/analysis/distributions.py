"""Histograms of internal coordinates and of pair distances, and how far two of them are apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.spatial.distance import jensenshannon

from forcefree.analysis.geometry import angles, dihedrals, distances, shortest_vectors
from forcefree.analysis.pieces import Piece
from forcefree.analysis.topology import Coordinates, Kind
from forcefree.data.trajectory import Floats, Trajectory

BIN_WIDTHS: Final[dict[Kind, float]] = {"bond": 0.01, "angle": 2.0, "dihedral": 5.0}
"""Å for bonds, degrees for angles and dihedrals."""

_MARGIN = 0.5
_FRAMES_AT_ONCE = 256
_MOST_VALUES = 2_000_000


@dataclass(frozen=True)
class Histograms:
    """Counts of each named coordinate in each piece.

    Attributes:
        edges: Of the bins, shape (n_bins + 1,). What lies outside is counted in the outermost bins.
        model: Shape (n_model_pieces, n_names, n_bins).
        reference: Shape (n_reference_pieces, n_names, n_bins).
    """

    edges: Floats
    model: Floats
    reference: Floats


def jensen_shannon(first: Floats, second: Floats) -> Floats:
    r"""Jensen-Shannon distance of histograms: :math:`\sqrt{[D(p|m) + D(q|m)]/2}`, :math:`m = (p+q)/2`, logarithms to base 2.

    Args:
        first: Counts or densities over equal bins, shape (..., n_bins).
        second: The same; both are normalised here.

    Returns:
        0 for equal and 1 for disjoint distributions, also where one of them is empty, shape (...). Source: Endres and Schindelin,
        IEEE Trans. Inf. Theory 49, 1858 (2003).
    """
    none, nothing = (np.asarray(counts).sum(axis=-1) == 0.0 for counts in (first, second))
    with np.errstate(invalid="ignore"):
        found = np.asarray(jensenshannon(first, second, base=2.0, axis=-1))
    return np.where(none & nothing, 0.0, np.where(none | nothing, 1.0, found))


def values(run: Trajectory, coordinates: Coordinates) -> Floats:
    """Internal coordinates of every frame.

    Args:
        run: Frames.
        coordinates: Which.

    Returns:
        Å for bonds, degrees for angles (0 to 180) and dihedrals (-180 to 180), shape (n_frames, n_coordinates).
    """
    columns = coordinates.atoms.T

    def vector(start: int, end: int) -> Floats:
        return shortest_vectors(run.positions[:, columns[end]] - run.positions[:, columns[start]], run.cell, run.pbc)

    if coordinates.kind == "bond":
        return distances(vector(0, 1))
    if coordinates.kind == "angle":
        return angles(vector(1, 0), vector(1, 2))
    return dihedrals(vector(0, 1), vector(1, 2), vector(2, 3))


def histograms(model: Sequence[Piece], reference: Sequence[Piece], coordinates: Coordinates) -> Histograms:
    """Count each named coordinate in each piece, over the same bins on both sides.

    Bins are 0.01 Å wide for bonds, from 0.5 Å below the shortest to 0.5 Å above the longest that the reference shows,
    2 degrees wide for angles and 5 degrees for dihedrals, where -180 and 180 degrees meet between two bins. Where a piece
    has more than two million values, its frames are thinned evenly.
    """
    sides = [[_chunked(piece.frames, coordinates) for piece in side] for side in (model, reference)]
    width = BIN_WIDTHS[coordinates.kind]
    if coordinates.kind == "bond":
        low = max(0.0, min(float(v.min()) for v in sides[1]) - _MARGIN)
        high = max(float(v.max()) for v in sides[1]) + _MARGIN
    else:
        low, high = (0.0, 180.0) if coordinates.kind == "angle" else (-180.0, 180.0)
    edges = width * np.arange(np.floor(low / width), np.ceil(high / width) + 1)
    counts = [np.array([_count(v, coordinates, edges) for v in side]) for side in sides]
    return Histograms(edges=edges, model=counts[0], reference=counts[1])


def _chunked(run: Trajectory, coordinates: Coordinates) -> Floats:
    few = run.frames(0, len(run), -(-len(run) * len(coordinates.atoms) // _MOST_VALUES))
    starts = range(0, len(few), _FRAMES_AT_ONCE)
    return np.concatenate([values(few.frames(start, start + _FRAMES_AT_ONCE), coordinates) for start in starts]).astype(np.float32)


def _count(found: Floats, coordinates: Coordinates, edges: Floats) -> Floats:
    bins = len(edges) - 1
    index = np.clip(((found - edges[0]) / (edges[1] - edges[0])).astype(np.int64), 0, bins - 1)
    flat = (index + coordinates.member * bins).ravel()
    return np.bincount(flat, minlength=len(coordinates.names) * bins).reshape(-1, bins).astype(np.float64)
