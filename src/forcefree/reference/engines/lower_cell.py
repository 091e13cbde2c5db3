"""Periodic cells in the lower-triangular form that LAMMPS and OpenMM ask for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forcefree.data.trajectory import Floats


@dataclass(frozen=True)
class LowerCell:
    """A cell turned so that its first vector lies along x and its second in the xy plane.

    Attributes:
        matrix: Rows are cell vectors of the same lattice, lower triangular with a positive diagonal, each shortened by whole
            multiples of those before it, Å, shape (3, 3).
        turn: Rotation W with ``vectors @ W`` in the turned frame, shape (3, 3). It never mirrors, which potentials of chiral
            molecules would notice.
    """

    matrix: Floats
    turn: Floats

    @classmethod
    def of(cls, cell: Floats) -> LowerCell:
        """Turn a cell, whose rows are its vectors, shape (3, 3); zeros, an isolated system, are left as they are."""
        if not cell.any():
            return cls(np.zeros((3, 3)), np.eye(3))
        if np.linalg.det(cell) < 0:  # the opposite vectors span the same lattice and are right-handed
            cell = -cell
        turn, upper = np.linalg.qr(cell.T)
        signs = np.sign(np.diag(upper))
        matrix = upper.T * signs
        for later, earlier in ((2, 1), (2, 0), (1, 0)):
            matrix[later] -= np.round(matrix[later, earlier] / matrix[earlier, earlier]) * matrix[earlier]
        return cls(matrix, turn * signs)

    def into(self, vectors: Floats) -> Floats:
        """Vectors in the turned frame, shape (..., 3)."""
        return vectors @ self.turn

    def back(self, vectors: Floats) -> Floats:
        """Vectors of the turned frame in that of the cell that was given, shape (..., 3)."""
        return vectors @ self.turn.T

    def images(self, vectors: Floats) -> Floats:
        """Whole cells that turned positions lie away from the one at the origin, shape (n_atoms, 3)."""
        if not self.matrix.any():
            return np.zeros_like(vectors)
        return np.floor(vectors @ np.linalg.inv(self.matrix))
