"""The atoms of each element of each system of a batch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from ase.data import chemical_symbols
from torch import Tensor

from forcefree.state import State


@dataclass(frozen=True)
class Elements:
    """Groups of atoms: system after system, in each in order of atomic number.

    Attributes:
        index: Group of each atom, shape (n_atoms,).
        owner: System of each group, shape (n_groups,).
        numbers: Atomic number of each group, shape (n_groups,).
        sizes: Atoms in each group, shape (n_groups,).
    """

    index: Tensor
    owner: Tensor
    numbers: Tensor
    sizes: Tensor

    @classmethod
    def of(cls, state: State) -> Elements:
        """Those of a batch."""
        most = int(state.numbers.max()) + 1
        kinds, index, sizes = torch.unique(most * state.system + state.numbers, return_inverse=True, return_counts=True)
        return cls(index, torch.div(kinds, most, rounding_mode="floor"), kinds % most, sizes)

    def __len__(self) -> int:
        """Number of groups."""
        return len(self.owner)

    @property
    def symbols(self) -> list[str]:
        """Chemical symbol of each group."""
        return [chemical_symbols[number] for number in self.numbers.tolist()]

    def alone(self, state: State) -> State:
        """Each group as a system of its own, atoms in their old order, so that those of a system are not side by side."""
        return state.with_(system=self.index, **{name: getattr(state, name)[self.owner] for name in ("cell", "pbc", "time")})

    def sum(self, values: Tensor) -> Tensor:
        """Sum per-atom ``values`` of shape (n_atoms,) over each group, to shape (n_groups,)."""
        return torch.zeros(len(self), dtype=values.dtype, device=values.device).index_add_(0, self.index, values)
