"""LAMMPS and OpenMM as ASE calculators: single points, for analysis and for everything that asks a potential for forces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Protocol

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from forcefree.data.trajectory import Floats
from forcefree.reference.engines.engine import Frame


class Session(Protocol):
    """A program that holds one structure."""

    def place(self, positions: Floats) -> None:
        """Move the atoms and compute their forces; Å, shape (n_atoms, 3)."""

    def frame(self) -> Frame:
        """The present moment."""


class NativeCalculator(Calculator):  # type: ignore[misc]
    """Energies in eV and forces in eV/Å from a program that keeps a structure between calls.

    Bonds are those of the structure that is held, at first the first one that is computed; other atoms or another cell open a
    new session. Atoms that are the same but bonded otherwise need a calculator of their own.

    Args:
        open_session: Makes a session for a structure.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "forces"]

    def __init__(self, open_session: Callable[[Atoms], Session]) -> None:
        super().__init__()
        self._open = open_session
        self._session: Session | None = None
        self._held: Atoms | None = None

    def hold(self, atoms: Atoms) -> None:
        """Take the bonds, where the potential has any, from a structure.

        Raises:
            ForcefreeError: If the program is missing, or the structure does not suit the potential.
        """
        self._session = None
        held = atoms.copy()
        session = self._open(held)
        self._held, self._session = held, session

    def calculate(self, atoms: Atoms | None = None, properties: Any = ("energy",), system_changes: Any = all_changes) -> None:
        """Compute energy and forces of the current structure."""
        super().calculate(atoms, properties, system_changes)
        if self._session is None or not self._same_system():
            self.hold(self.atoms)
        assert self._session is not None
        self._session.place(self.atoms.positions)
        frame = self._session.frame()
        self.results = {"energy": frame.energy, "forces": frame.forces}

    def _same_system(self) -> bool:
        held, now = self._held, self.atoms
        assert held is not None
        pairs = ((held.numbers, now.numbers), (held.cell.array, now.cell.array), (held.pbc, now.pbc))
        return all(np.array_equal(one, other) for one, other in pairs)
