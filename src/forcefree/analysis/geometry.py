"""Distances, angles and dihedrals of many frames at once, and the rotation that superposes two structures."""

from __future__ import annotations

import numpy as np
from ase.geometry import complete_cell
from numpy.typing import NDArray

from forcefree.data.trajectory import Floats


def shortest_vectors(vectors: Floats, cell: Floats, pbc: NDArray[np.bool_]) -> Floats:
    """Bring difference vectors to their nearest periodic image.

    Args:
        vectors: Å, shape (..., 3).
        cell: Rows are cell vectors in Å, shape (3, 3).
        pbc: Which of them are periodic, shape (3,).

    Returns:
        Å, shape (..., 3); right for vectors shorter than half the smallest height of the cell, as bonds are.
    """
    if not pbc.any():
        return vectors
    full = np.asarray(complete_cell(np.where(pbc[:, None], cell, 0.0)))  # open directions at right angles to the periodic ones
    turns = np.where(pbc, np.round(vectors @ np.linalg.inv(full)), 0.0)
    return np.asarray(vectors - turns @ full)


def distances(a: Floats) -> Floats:
    """Lengths in Å of vectors (..., 3), shape (...)."""
    return np.asarray(np.linalg.norm(a, axis=-1))


def angles(a: Floats, b: Floats) -> Floats:
    """Angles in degrees, 0 to 180, between vectors (..., 3) that start at the same atom, shape (...)."""
    return np.asarray(np.degrees(np.arctan2(np.linalg.norm(np.cross(a, b), axis=-1), (a * b).sum(axis=-1))))


def dihedrals(a: Floats, b: Floats, c: Floats) -> Floats:
    """Dihedral angles in degrees, -180 to 180, of three consecutive bond vectors.

    Args:
        a: From atom 1 to 2, shape (..., 3).
        b: From atom 2 to 3.
        c: From atom 3 to 4.

    Returns:
        Shape (...), positive by the convention of IUPAC: clockwise looking along ``b``.
    """
    before, after = np.cross(a, b), np.cross(b, c)
    sine = (np.cross(before, after) * b).sum(axis=-1) / np.linalg.norm(b, axis=-1)
    return np.asarray(np.degrees(np.arctan2(sine, (before * after).sum(axis=-1))))


def superposing_rotations(positions: Floats, target: Floats, weights: Floats) -> Floats:
    """Proper rotations that bring each frame as close as possible to a target, about their centres of mass.

    Args:
        positions: Å, shape (n_frames, n_atoms, 3).
        target: Å, shape (n_atoms, 3).
        weights: Such as masses, shape (n_atoms,).

    Returns:
        Matrices R with ``x @ R`` turned, shape (n_frames, 3, 3). Source: Kabsch, Acta Cryst. A32, 922 (1976).
    """
    share = weights / weights.sum()
    centred = positions - np.einsum("a,fad->fd", share, positions)[:, None]
    goal = target - share @ target
    covariance = np.einsum("a,fai,aj->fij", share, centred, goal)
    left, _, right = np.linalg.svd(covariance)
    handed = np.sign(np.linalg.det(left @ right))
    left[..., -1] *= handed[:, None]
    return np.asarray(left @ right)
