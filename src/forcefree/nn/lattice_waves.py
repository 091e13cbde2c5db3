"""The smooth part of Coulomb's law in a periodic cell, summed over waves of the reciprocal lattice."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import product
from typing import TypeAlias

import torch
from torch import Tensor

from forcefree.errors import ForcefreeError
from forcefree.nn.lattice_mesh import LatticeMesh, influence, mesh_sizes
from forcefree.nn.padding import Padding
from forcefree.state import State

_SHORTEST = 4.5  # times one over the smearing: waves shorter than that have weights below 1e-4 of the long ones
LARGEST_BLOCK = 1 << 24
"""Phases that are worked on at once where no gradients are recorded."""

LARGE_SYSTEM = 600
"""Atoms from which on a mesh is faster than the sum over waves."""


@dataclass(frozen=True)
class LatticeWaves:
    r"""Waves :math:`e^{i k \cdot r}` of each system's reciprocal lattice, one of each pair of opposite ones, and where the atoms are in them.

    Charges are smeared to Gaussians as in the sum of Ewald (Ann. Phys. 369, 253, 1921); what the smearing leaves out is short-ranged.

    Attributes:
        vectors: 1/Å, shape (n_systems, n_waves, 3).
        weights: Å, shape (n_systems, n_waves, 1), zero for waves that a system does not have.
        indices: Integers of the reciprocal lattice, float64, shape (n_waves, 3).
        fractions: Of the cell vectors, of each atom's position in the cell, float64, shape (1, n_systems, largest, 3).
        padding: Seats of the atoms.
    """

    vectors: Tensor
    weights: Tensor
    indices: Tensor
    fractions: Tensor
    padding: Padding

    def field(self, charges: Tensor, moved: Tensor | None = None) -> Tensor:
        """Potential and field at the atoms of all the smeared charges of their system and its images, a uniform background included.

        Args:
            charges: Of several kinds that do not see each other, dimensionless, shape (n_atoms, n_kinds).
            moved: How far the atoms have moved since, Å, shape (n_times, n_atoms, 3); None for not at all.

        Returns:
            Potential (1/Å) and then the three components of the field (1/Å²), shape (n_times, n_atoms, 4, n_kinds).
        """
        n_times, kinds = 1 if moved is None else len(moved), charges.shape[-1]
        with torch.autocast(charges.device.type, enabled=False):  # phases need all digits that there are
            padded = self.padding.pad(charges[None].to(self.vectors))
            shifts = None if moved is None else self.padding.pad(moved.to(self.vectors))
            total = padded.new_zeros(n_times, *padded.shape[1:-1], 4 * kinds)
            for waves in self._blocks(n_times):
                total = total + self._part(padded, shifts, waves)
        return self.padding.unpad(total.view(*total.shape[:-1], 4, kinds))

    def _part(self, charges: Tensor, shifts: Tensor | None, waves: slice) -> Tensor:
        """What some of the waves contribute, shape (n_times, n_systems, largest, 4 n_kinds)."""
        vectors, weights = self.vectors[:, waves], self.weights[:, waves]
        turns = self.fractions @ self.indices[waves].T
        phases = (2.0 * math.pi * (turns - turns.round())).to(vectors)
        if shifts is not None:
            phases = phases + shifts @ vectors.transpose(1, 2)
        cosines, sines = phases.cos(), phases.sin()
        even = weights * (cosines.transpose(-1, -2) @ charges)
        odd = weights * (sines.transpose(-1, -2) @ charges)
        along = vectors[..., None]
        of_cosines = torch.cat([even[..., None, :], -along * odd[..., None, :]], dim=-2).flatten(-2)
        of_sines = torch.cat([odd[..., None, :], along * even[..., None, :]], dim=-2).flatten(-2)
        return cosines @ of_cosines + sines @ of_sines

    def _blocks(self, n_times: int) -> list[slice]:
        """Waves in blocks that bound the memory; all in one where gradients are recorded."""
        n_waves = len(self.indices)
        width = max(1, n_waves)
        if not torch.is_grad_enabled():
            width = max(1, LARGEST_BLOCK // max(1, n_times * self.fractions[..., 0].numel()))
        return [slice(first, first + width) for first in range(0, n_waves, width)]


FarField: TypeAlias = LatticeWaves | LatticeMesh


class ReciprocalLattice:
    """Finds the waves of states, and keeps what depends on their cells alone for as long as those stay the same.

    Large systems get a mesh instead where neither gradients nor double precision are asked for.

    Args:
        smearing: Standard deviation of a charge in Å.
    """

    def __init__(self, smearing: float) -> None:
        self._shortest, self._variance = _SHORTEST / smearing, smearing * smearing
        self._smearing = smearing
        self._kept: _Lattice | None = None
        self._mesh: tuple[Tensor, LatticeMesh] | None = None  # with the cells that it is for

    def __call__(self, state: State, precision: torch.dtype) -> FarField:
        """Waves, or a mesh, for all systems of ``state``.

        Args:
            state: Periodic in all directions.
            precision: Of the field; phases are taken in float64 before.

        Raises:
            ForcefreeError: If a system is not periodic in all directions.
        """
        if precision == torch.float32 and not torch.is_grad_enabled() and int(state.sizes.max()) >= LARGE_SYSTEM:
            return self._meshed(state)
        if self._kept is None or not self._kept.serves(state):
            self._kept = self._find(state)
        lattice = self._kept
        padding = Padding.of(state)
        fractions = torch.einsum("ni,nij->nj", state.positions, lattice.rows[state.system])
        within = padding.pad((fractions - fractions.round())[None])
        return LatticeWaves(lattice.vectors.to(precision), lattice.weights.to(precision), lattice.indices, within, padding)

    def _meshed(self, state: State) -> LatticeMesh:
        """A mesh for the positions of a state; what depends on cells alone is kept."""
        check_cells(state)
        if self._mesh is None or not _same_cells(self._mesh[0], state.cell):
            sizes = tuple(mesh_sizes(cell, self._smearing) for cell in state.cell)
            parts = zip(state.cell, sizes, strict=True)
            influences = tuple(influence(cell, size, self._smearing, self._shortest).to(torch.float32) for cell, size in parts)
            self._mesh = (state.cell, LatticeMesh(state.positions, torch.linalg.inv(state.cell), influences, sizes, ()))
        kept = self._mesh[1]
        ends = state.sizes.cumsum(0).tolist()
        atoms = tuple(slice(end - size, end) for end, size in zip(ends, state.sizes.tolist(), strict=True))
        return replace(kept, fractions=torch.einsum("ni,nij->nj", state.positions, kept.rows[state.system]), atoms=atoms)

    def _find(self, state: State) -> _Lattice:
        check_cells(state)
        rows = torch.linalg.inv(state.cell)
        indices = _half_space(state.cell, self._shortest)
        vectors = 2.0 * math.pi * torch.einsum("sij,mj->smi", rows, indices)
        near = vectors.square().sum(dim=-1) <= self._shortest**2
        kept = near.any(dim=0)
        vectors, near, indices = vectors[:, kept], near[:, kept], indices[kept]
        squares = vectors.square().sum(dim=-1)
        volume = torch.linalg.det(state.cell).abs()[:, None]
        weights = near * (8.0 * math.pi / volume) * torch.exp(-0.5 * self._variance * squares) / squares
        return _Lattice(state.cell, rows, indices, vectors, weights[..., None], torch.is_inference_mode_enabled())


def check_cells(state: State) -> None:
    """Refuse what has no reciprocal lattice.

    Raises:
        ForcefreeError: If a system is not periodic in all directions.
    """
    if not bool(state.pbc.all()):
        raise ForcefreeError(
            "this model's charges act through a whole periodic cell, but a system is not periodic in all three directions; "
            "start from one that is (bundled: liquid-water), or use a model without charges"
        )


@dataclass(frozen=True)
class _Lattice:
    """What depends on cells alone: reciprocal rows, integer triples, and the waves' vectors and weights, all in float64."""

    cell: Tensor
    rows: Tensor
    indices: Tensor
    vectors: Tensor
    weights: Tensor
    for_inference: bool

    def serves(self, state: State) -> bool:
        """Whether a state has these cells and is used in the same mode."""
        return self.for_inference == torch.is_inference_mode_enabled() and _same_cells(self.cell, state.cell) and bool(state.pbc.all())


def _same_cells(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and one.device == other.device and torch.equal(one, other)


def _half_space(cell: Tensor, shortest: float) -> Tensor:
    """Integer triples that can give waves up to ``shortest`` (1/Å), one of each pair of opposite ones, float64, shape (n_waves, 3)."""
    reach = [int(shortest * float(length) / (2.0 * math.pi)) for length in cell.norm(dim=-1).amax(dim=0)]
    triples = product(*(range(-most, most + 1) for most in reach))
    return torch.tensor([each for each in triples if each > (0, 0, 0)], dtype=cell.dtype, device=cell.device).view(-1, 3)
