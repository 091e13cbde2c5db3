"""What LAMMPS is told of a structure: types, bonds and angles."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from forcefree.errors import ForcefreeError
from forcefree.reference.engines.lammps_data import LammpsData
from forcefree.reference.engines.lammps_options import LammpsOptions

WATER = LammpsOptions(elements=["O", "H"], commands=["pair_style none"], bonds={"H-O": 1.3}, angles=["H-O-H"])


def test_bonds_and_angles_of_molecules_are_found_also_across_the_boundary() -> None:
    pair = molecule("H2O") + Atoms("OHH", molecule("H2O").positions + np.array([0.0, 0.0, 3.0]))
    pair.set_cell([8.0, 8.0, 8.0])
    pair.set_pbc(True)
    for shift in (0.0, 3.9):
        pair.positions += [0.0, shift, 0.0]
        pair.wrap()
        data = LammpsData.of(WATER, pair)
        assert sorted(sorted(bond[1:]) for bond in data.bonds) == [[1, 2], [1, 3], [4, 5], [4, 6]]
        assert sorted((angle[2], *sorted(angle[1::2])) for angle in data.angles) == [(1, 2, 3), (4, 5, 6)]
        np.testing.assert_array_equal(data.types, [1, 2, 2, 1, 2, 2])


def test_types_are_in_the_order_of_the_options_and_have_the_masses_of_the_structure() -> None:
    heavy = molecule("H2O")
    heavy.set_masses([15.999, 2.014, 2.014])
    data = LammpsData.of(LammpsOptions(elements=["C", "H", "O"], commands=["pair_style none"]), heavy)
    np.testing.assert_array_equal(data.types, [3, 2, 2])
    assert data.masses == [pytest.approx(12.011), 2.014, 15.999]


def test_the_file_holds_every_atom_inside_the_cell_to_the_last_digit() -> None:
    atoms = Atoms("O2", [[-1.0, 2.0, 1.0 / 3.0], [9.5, 0.1, 5.0]], cell=[4.0, 4.0, 4.0], pbc=True)
    options = LammpsOptions(elements=["O"], charges={"O": -0.8}, commands=["pair_style none"])
    lines = LammpsData.of(options, atoms).text(options, atoms).splitlines()
    rows = [line.split() for line in lines[lines.index("Atoms # full") + 2 :]]
    np.testing.assert_array_equal([[float(x) for x in row[4:]] for row in rows], [[3.0, 2.0, 1.0 / 3.0], [1.5, 0.1, 1.0]])
    assert {row[3] for row in rows} == {"-0.8"}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"charges": {"N": 1.0}}, r"'N' is not among the elements \['O', 'H'\]"),
        ({"bonds": {"O-H-O": 1.0}}, "'O-H-O' must name 2 elements, such as O-H"),
        ({"angles": ["O-H"]}, "'O-H' must name 3 elements, such as O-H-O"),
        ({"units": "lj"}, "units"),
    ],
)
def test_options_that_do_not_fit_together_are_refused(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(ForcefreeError, match=sentence):
        LammpsOptions.parse({"elements": ["O", "H"], "commands": ["pair_style none"], **changes}, "calculator lammps")


@pytest.mark.parametrize(
    ("atoms", "sentence"),
    [
        (molecule("NH3"), "the structure has N, but the options of lammps list the elements O, H"),
        (Atoms("O", cell=[9.0, 9.0, 9.0], pbc=[True, True, False]), r"periodic in all directions or in none, not \[True, True, False\]"),
        (Atoms("H2", masses=[1.0, 2.0]), r"the structure has H of \[1.0, 2.0\] amu"),
    ],
)
def test_structures_that_do_not_suit_are_refused(atoms: Atoms, sentence: str) -> None:
    with pytest.raises(ForcefreeError, match=sentence):
        LammpsData.of(WATER, atoms)
