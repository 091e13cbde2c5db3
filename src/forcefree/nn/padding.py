"""Atoms of systems of different sizes side by side, for layers in which every atom looks at every other of its system."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from forcefree.state import State


@dataclass(frozen=True)
class Padding:
    """Where each atom sits.

    Attributes:
        system: System of each atom, shape (n_atoms,).
        seat: Place of each atom in its system, shape (n_atoms,).
        n_systems: How many systems.
        largest: Atoms of the largest.
    """

    system: Tensor
    seat: Tensor
    n_systems: int
    largest: int

    @classmethod
    def of(cls, state: State) -> Padding:
        """The seats of the atoms of ``state``."""
        sizes = state.sizes
        starts = torch.cumsum(sizes, 0) - sizes
        seat = torch.arange(state.n_atoms, device=sizes.device) - starts[state.system]
        return cls(state.system, seat, state.n_systems, int(sizes.max()))

    def pad(self, values: Tensor) -> Tensor:
        """From (n_rows, n_atoms, ...) to (n_rows, n_systems, largest, ...), with zeros on empty seats."""
        if self.n_systems * self.largest == values.shape[1]:
            return values.reshape(len(values), self.n_systems, self.largest, *values.shape[2:])
        padded = values.new_zeros(len(values), self.n_systems * self.largest, *values.shape[2:])
        filled = padded.index_copy(1, self.system * self.largest + self.seat, values)
        return filled.view(len(values), self.n_systems, self.largest, *values.shape[2:])

    def unpad(self, values: Tensor) -> Tensor:
        """From (n_rows, n_systems, largest, ...) back to (n_rows, n_atoms, ...)."""
        return values.flatten(1, 2)[:, self.system * self.largest + self.seat]
