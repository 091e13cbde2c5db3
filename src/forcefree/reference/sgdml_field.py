"""An sGDML force field as four matrix-vector products, for long trajectories of one molecule on one core."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forcefree.data.trajectory import Floats
from forcefree.units import KCAL_PER_MOL


class GradientDomainField:
    """Energy and forces of one geometry at a time, several times as fast as the package's batched predictor.

    The kernel needs, for every training geometry and permutation, only the distance of descriptors and the product of the
    difference with stored coefficients; both follow from matrix-vector products when norms are kept (Chmiela et al.,
    Nat. Commun. 9, 3887, 2018).

    Args:
        values: Arrays of a model in today's layout, as :func:`forcefree.reference.sgdml.load_model` returns them.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.numbers = np.asarray(values["z"], dtype=np.int64)
        atoms = len(self.numbers)
        self._first, self._second = np.tril_indices(atoms, -1)
        place = np.zeros((atoms, atoms), dtype=np.int64)
        place[self._first, self._second] = place[self._second, self._first] = np.arange(len(self._first))
        moved = [place[np.ix_(permutation, permutation)][self._first, self._second] for permutation in values["perms"]]
        descriptors, coefficients = np.asarray(values["R_desc"], dtype=np.float64).T, np.asarray(values["R_d_desc_alpha"], dtype=np.float64)
        width = float(values["sig"])
        self._scale = np.sqrt(5.0) / width
        every = np.concatenate([descriptors[:, index] for index in moved])
        self._centre = every.mean(axis=0)
        self._train = self._scale * (every - self._centre)
        self._coefficients = np.concatenate([coefficients[:, index] for index in moved])
        self._squares = (self._train**2).sum(axis=1)
        self._products = (self._train * self._coefficients).sum(axis=1)
        self._weight = 5.0 / (3.0 * width**2)
        self._std, self._offset = float(values["std"]), float(values["c"])

    def __call__(self, positions: Floats) -> tuple[float, Floats]:
        """Evaluate.

        Args:
            positions: Å, in the atom order of the model, shape (n_atoms, 3).

        Returns:
            Energy in eV and forces in eV/Å, shape (n_atoms, 3).
        """
        arms = positions[self._first] - positions[self._second]
        inverse = 1.0 / np.sqrt((arms * arms).sum(axis=1))
        here = self._scale * (inverse - self._centre)
        distances = np.sqrt(np.maximum(self._squares - 2.0 * (self._train @ here) + here @ here, 0.0))
        decay = self._weight * np.exp(-distances)
        product = self._coefficients @ here - self._products
        linear = decay * (1.0 + distances)
        pull = decay * product
        slope = self._std * (linear @ self._coefficients - pull.sum() * here + pull @ self._train)
        energy = self._std * float(linear @ product) / self._scale + self._offset
        return energy * KCAL_PER_MOL, self._on_atoms((slope * inverse**3)[:, None] * arms) * KCAL_PER_MOL

    def _on_atoms(self, pull: NDArray[np.float64]) -> Floats:
        forces: Floats = np.zeros((len(self.numbers), 3))
        np.add.at(forces, self._first, pull)
        np.subtract.at(forces, self._second, pull)
        return forces
