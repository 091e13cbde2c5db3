"""A session as an ASE calculator: kept while the system stays, opened anew when it changes."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms

from forcefree.data.trajectory import Floats
from forcefree.errors import ForcefreeError
from forcefree.reference.engines.engine import Frame
from forcefree.reference.engines.native_calculator import NativeCalculator


class _Well:
    """Every atom in a harmonic well about where the session found it."""

    def __init__(self, atoms: Atoms) -> None:
        self.centre = atoms.positions.copy()
        self.positions = self.centre

    def place(self, positions: Floats) -> None:
        self.positions = positions

    def frame(self) -> Frame:
        away = self.positions - self.centre
        return Frame(self.positions, np.zeros_like(away), 0.5 * float((away**2).sum()), -away)


def test_a_session_is_kept_while_atoms_move_and_opened_anew_for_other_atoms_or_another_cell() -> None:
    opened: list[Atoms] = []

    def open_session(atoms: Atoms) -> _Well:
        opened.append(atoms)
        return _Well(atoms)

    atoms = Atoms("Ar2", [[0, 0, 0], [0, 0, 4]], cell=[9, 9, 9], pbc=True, calculator=NativeCalculator(open_session))
    assert atoms.get_potential_energy() == 0.0
    atoms.positions[1, 2] += 0.5
    assert atoms.get_potential_energy() == pytest.approx(0.125)
    np.testing.assert_allclose(atoms.get_forces()[1], [0.0, 0.0, -0.5])
    assert len(opened) == 1
    atoms.set_cell([10, 9, 9])
    assert atoms.get_potential_energy() == 0.0
    atoms.numbers[0] = 36
    atoms.get_potential_energy()
    assert len(opened) == 3


def test_no_session_is_left_behind_by_one_that_does_not_open() -> None:
    def open_session(atoms: Atoms) -> _Well:
        if atoms.cell[0, 0] > 9.5:
            raise ForcefreeError("too wide")
        return _Well(atoms)

    atoms = Atoms("Ar2", [[0, 0, 0], [0, 0, 4]], cell=[9, 9, 9], pbc=True, calculator=NativeCalculator(open_session))
    atoms.get_potential_energy()
    atoms.set_cell([10, 9, 9])
    for _ in range(2):
        with pytest.raises(ForcefreeError, match="too wide"):
            atoms.get_potential_energy()


def test_the_structure_that_is_held_is_not_the_first_that_is_computed() -> None:
    calculator = NativeCalculator(_Well)
    atoms = Atoms("Ar2", [[0, 0, 0], [0, 0, 4]])
    calculator.hold(atoms)
    atoms.positions[1, 2] += 0.5
    assert calculator.get_potential_energy(atoms) == pytest.approx(0.125)
