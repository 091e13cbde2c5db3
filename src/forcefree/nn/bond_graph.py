"""The bond graph of the present geometry, without a list of bonds: smooth weights from covalent radii."""

from __future__ import annotations

import numpy as np
import torch
from ase.data import covalent_radii
from torch import Tensor

from forcefree.graph import Pairs
from forcefree.nn.tensor_constants import ConstantsModule
from forcefree.state import State

_WHOLE = 1.25  # a vibration at 500 K stretches a bond by less than this factor
_BROKEN = 1.5  # second neighbours begin at 1.6 times the sum of two radii


class BondWeights(ConstantsModule):
    """Weight of the bond between two atoms: 1 up to 1.25 times the sum of their covalent radii, 0 from 1.5 times on.

    Between the two it falls with two continuous derivatives, so that a breaking bond changes a forecast smoothly, and a
    vibrating molecule has one graph, whatever the order of its atoms. Radii: Cordero et al., Dalton Trans. 2832 (2008).

    Args:
        cutoff: Å, beyond which nothing is bonded.
    """

    radii: Tensor

    def __init__(self, cutoff: float) -> None:
        super().__init__()
        self._cutoff = cutoff
        self.keep("radii", torch.from_numpy(np.asarray(covalent_radii, dtype=np.float64)))

    def forward(self, distances: Tensor, numbers: Tensor, pairs: Pairs) -> Tensor:
        """Weights of shape (n_pairs,).

        Args:
            distances: Å, shape (n_pairs,).
            numbers: Atomic numbers, shape (n_atoms,).
            pairs: Which atoms.
        """
        radii = self.radii.to(distances)[numbers]
        broken = (_BROKEN * (radii[pairs.receiver] + radii[pairs.sender])).clamp(max=self._cutoff)
        whole = broken * (_WHOLE / _BROKEN)
        x = ((distances - whole) / (broken - whole)).clamp(0.0, 1.0)
        return 1.0 - x**3 * (10.0 - 15.0 * x + 6.0 * x * x)


def whole_bonds(positions: Tensor, numbers: Tensor) -> Tensor:
    """Which atoms of a structure are bonded, by the length up to which a bond counts as whole.

    Args:
        positions: Å, shape (n_atoms, 3).
        numbers: Atomic numbers, shape (n_atoms,).

    Returns:
        Symmetric truth values of shape (n_atoms, n_atoms).
    """
    radii = torch.from_numpy(np.asarray(covalent_radii, dtype=np.float64)).to(positions)[numbers]
    near = torch.cdist(positions, positions) < _WHOLE * (radii[:, None] + radii)
    bonded: Tensor = near & ~torch.eye(len(numbers), dtype=torch.bool, device=near.device)
    return bonded


def laplacian_of(state: State, pairs: Pairs, weights: Tensor) -> Tensor:
    """Combinatorial Laplacian D - A of every system, padded with zeros, shape (n_systems, n_most, n_most)."""
    sizes = state.sizes
    most = int(sizes.max())
    rank = torch.arange(state.n_atoms, device=sizes.device) - (torch.cumsum(sizes, 0) - sizes)[state.system]
    matrix = torch.zeros(state.n_systems * most * most, dtype=weights.dtype, device=weights.device)
    row = (state.system * most + rank) * most
    matrix = matrix.index_add(0, row[pairs.receiver] + rank[pairs.receiver], weights)
    return matrix.index_add(0, row[pairs.receiver] + rank[pairs.sender], -weights).view(-1, most, most)
