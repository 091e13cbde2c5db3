"""The one state that all rooms speak: a batch of systems as flat tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from ase import Atoms
from torch import Tensor

from forcefree.errors import ForcefreeError
from forcefree.units import ASE_FEMTOSECOND


@dataclass(frozen=True)
class State:
    """Positions and velocities of one or more systems, flat over atoms; atoms of one system are contiguous.

    Attributes:
        positions: Å, unwrapped, float64, shape (n_atoms, 3).
        velocities: Å/fs, float64, shape (n_atoms, 3).
        numbers: Atomic numbers, shape (n_atoms,).
        masses: amu, float64, shape (n_atoms,).
        cell: Rows are cell vectors in Å, zeros where not periodic, shape (n_systems, 3, 3).
        pbc: Which cell vectors are periodic, shape (n_systems, 3).
        system: Index of the system that each atom belongs to, non-decreasing, shape (n_atoms,).
        time: fs, shape (n_systems,).
    """

    positions: Tensor
    velocities: Tensor
    numbers: Tensor
    masses: Tensor
    cell: Tensor
    pbc: Tensor
    system: Tensor
    time: Tensor

    @classmethod
    def from_atoms(cls, molecules: Sequence[Atoms]) -> State:
        """Batch ASE structures, with their velocities.

        Args:
            molecules: At least one structure of at least one atom.

        Raises:
            ForcefreeError: If a structure has no atoms, or a position or velocity that is not finite.
        """
        if not molecules or any(len(m) == 0 for m in molecules):
            raise ForcefreeError("a state needs at least one system, and each system at least one atom")
        state = cls(
            positions=torch.tensor(np.concatenate([m.positions for m in molecules]), dtype=torch.float64),
            velocities=torch.tensor(np.concatenate([m.get_velocities() for m in molecules]) * ASE_FEMTOSECOND, dtype=torch.float64),
            numbers=torch.tensor(np.concatenate([m.numbers for m in molecules]), dtype=torch.int64),
            masses=torch.tensor(np.concatenate([m.get_masses() for m in molecules]), dtype=torch.float64),
            cell=torch.tensor(np.stack([m.cell.array * np.asarray(m.pbc)[:, None] for m in molecules]), dtype=torch.float64),
            pbc=torch.tensor(np.stack([m.pbc for m in molecules]), dtype=torch.bool),
            system=torch.repeat_interleave(torch.arange(len(molecules)), torch.tensor([len(m) for m in molecules])),
            time=torch.zeros(len(molecules), dtype=torch.float64),
        )
        if not bool(state.positions.isfinite().all() and state.velocities.isfinite().all()):
            raise ForcefreeError("a position or velocity is not a finite number; mend the structure before starting")
        return state

    @property
    def n_systems(self) -> int:
        """Number of systems in the batch."""
        return len(self.time)

    @property
    def n_atoms(self) -> int:
        """Number of atoms in all systems together."""
        return len(self.numbers)

    @property
    def sizes(self) -> Tensor:
        """Atoms in each system, shape (n_systems,)."""
        return torch.bincount(self.system, minlength=self.n_systems)

    @property
    def isolated(self) -> Tensor:
        """Systems without any periodic direction, shape (n_systems,)."""
        return ~self.pbc.any(dim=1)

    def sum(self, values: Tensor) -> Tensor:
        """Sum per-atom ``values`` of shape (n_atoms, ...) over each system, to shape (n_systems, ...)."""
        total = torch.zeros(self.n_systems, *values.shape[1:], dtype=values.dtype, device=values.device)
        return total.index_add_(0, self.system, values)

    def mean_by_mass(self, values: Tensor) -> Tensor:
        """Mass-weighted mean of per-atom vectors (n_atoms, 3) over each system, shape (n_systems, 3)."""
        masses = self.masses.to(values.dtype)
        return self.sum(masses[:, None] * values) / self.sum(masses)[:, None]

    def with_(self, **changes: Tensor) -> State:
        """A copy with some tensors replaced."""
        return replace(self, **changes)

    def to(self, device: torch.device | str) -> State:
        """The same state on another device."""
        return State(**{name: getattr(self, name).to(device) for name in self.__dataclass_fields__})

    def select(self, systems: Tensor) -> State:
        """The systems where the boolean mask ``systems`` (n_systems,) is true, in the same order."""
        atoms = systems[self.system]
        renumbered = torch.cumsum(systems.to(torch.int64), 0) - 1
        return State(
            positions=self.positions[atoms],
            velocities=self.velocities[atoms],
            numbers=self.numbers[atoms],
            masses=self.masses[atoms],
            cell=self.cell[systems],
            pbc=self.pbc[systems],
            system=renumbered[self.system[atoms]],
            time=self.time[systems],
        )

    def repeat(self, copies: int) -> State:
        """A batch of ``copies`` copies of the whole batch, one after another."""
        offsets = torch.arange(copies, device=self.system.device).repeat_interleave(self.n_atoms) * self.n_systems
        return State(
            positions=self.positions.repeat(copies, 1),
            velocities=self.velocities.repeat(copies, 1),
            numbers=self.numbers.repeat(copies),
            masses=self.masses.repeat(copies),
            cell=self.cell.repeat(copies, 1, 1),
            pbc=self.pbc.repeat(copies, 1),
            system=self.system.repeat(copies) + offsets,
            time=self.time.repeat(copies),
        )

    def to_atoms(self) -> list[Atoms]:
        """ASE structures with velocities, one per system."""
        molecules = []
        for index, atoms in enumerate(torch.split(torch.arange(self.n_atoms), self.sizes.tolist())):
            molecule = Atoms(
                numbers=self.numbers[atoms].cpu().numpy(),
                positions=self.positions[atoms].cpu().numpy(),
                masses=self.masses[atoms].cpu().numpy(),
                cell=self.cell[index].cpu().numpy(),
                pbc=self.pbc[index].cpu().numpy(),
            )
            molecule.set_velocities(self.velocities[atoms].cpu().numpy() / ASE_FEMTOSECOND)
            molecules.append(molecule)
        return molecules
