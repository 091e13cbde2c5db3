"""Periodic positions made continuous: each atom takes the shortest image of its step from frame to frame."""

from __future__ import annotations

from itertools import product

import numpy as np
from ase.geometry import complete_cell, minkowski_reduce
from numpy.typing import NDArray

from forcefree.data.trajectory import Floats
from forcefree.errors import ForcefreeError

_SAFE = 0.4
_AMBIGUOUS = 0.8


class Unwrapper:
    """Unwrap a trajectory block by block.

    A step shorter than 0.4 of the shortest lattice vector has one shortest image, which rounding in the Minkowski-reduced
    cell finds; longer steps are compared with all neighbouring images. The images are counted in whole numbers, so a
    straight flight through many cells stays straight to the last digit.

    Args:
        cell: Rows are cell vectors in Å, shape (3, 3).
        pbc: Which are periodic, shape (3,).

    Raises:
        ForcefreeError: If a periodic vector has no length.
    """

    def __init__(self, cell: Floats, pbc: NDArray[np.bool_]) -> None:
        self._periodic = bool(pbc.any())
        if not self._periodic:
            return
        if bool((np.linalg.norm(cell[pbc], axis=1) < 1e-6).any()):
            raise ForcefreeError("a periodic cell vector has no length; give the cell or switch its periodicity off")
        whole = np.asarray(complete_cell(np.where(pbc[:, None], cell, 0.0)), dtype=np.float64)
        reduced, _ = minkowski_reduce(whole, pbc=pbc)
        self._cell = np.asarray(reduced, dtype=np.float64)
        self._inverse = np.linalg.inv(self._cell)
        self._pbc = pbc
        self._neighbours = np.array(list(product(*((-1, 0, 1) if p else (0,) for p in pbc))), dtype=np.float64)
        vectors = np.array([n @ self._cell for n in self._neighbours if n.any()])
        self._shortest = float(np.linalg.norm(vectors, axis=1).min())
        self._last: Floats | None = None
        self._images: Floats | None = None

    def __call__(self, positions: Floats, times: Floats) -> Floats:
        """Continue with the next frames.

        Args:
            positions: Å, shape (n_frames, n_atoms, 3).
            times: fs, shape (n_frames,); only for the error message.

        Returns:
            Unwrapped positions in Å, the first frame of the first block unchanged.

        Raises:
            ForcefreeError: If an atom's step has two images of nearly the same length.
        """
        if not self._periodic or len(positions) == 0:
            return positions
        if self._last is None or self._images is None:
            self._last, self._images = positions[0], np.zeros_like(positions[0])
        steps = np.diff(np.concatenate([self._last[None], positions]), axis=0)
        images = self._images + np.cumsum(self._shifts(steps, times), axis=0)
        self._last, self._images = positions[-1].copy(), images[-1]
        return positions + images @ self._cell

    def _shifts(self, steps: Floats, times: Floats) -> Floats:
        """Whole lattice vectors to add to each step, shape (n_frames, n_atoms, 3)."""
        fractions = steps @ self._inverse
        shifts = np.where(self._pbc, -np.round(fractions), 0.0)
        lengths = self._length(steps + shifts @ self._cell)
        far = np.argwhere(lengths > _SAFE * self._shortest)
        for start in range(0, len(far), 100_000):
            frame, atom = far[start : start + 100_000].T
            base = shifts[frame, atom]
            candidates = base[:, None] + self._neighbours
            length = self._length(steps[frame, atom][:, None] + candidates @ self._cell)
            order = np.argsort(length, axis=1)
            rows = np.arange(len(base))
            best, second = length[rows, order[:, 0]], length[rows, order[:, 1]]
            ratio = best / second
            if ratio.max() > _AMBIGUOUS:
                worst = int(ratio.argmax())
                raise ForcefreeError(
                    f"atom {atom[worst]} moves {best[worst]:.2f} Å or {second[worst]:.2f} Å, depending on the periodic image, in the step "
                    f"to {times[frame[worst]]:g} fs, so it cannot be unwrapped; import frames closer in time or positions that are unwrapped"
                )
            shifts[frame, atom] = candidates[rows, order[:, 0]]
        return shifts

    def _length(self, vectors: Floats) -> Floats:
        """Length over the periodic directions only, since no image can change the others."""
        if self._pbc.all():
            return np.asarray(np.linalg.norm(vectors, axis=-1))
        axes = self._cell[self._pbc]
        basis = np.linalg.qr(axes.T)[0]
        return np.asarray(np.linalg.norm(vectors @ basis, axis=-1))
